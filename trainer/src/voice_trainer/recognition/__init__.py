"""Recognisers: what is said in a recording, as words."""
