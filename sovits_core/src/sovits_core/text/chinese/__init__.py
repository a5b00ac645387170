"""Mandarin and Cantonese."""
