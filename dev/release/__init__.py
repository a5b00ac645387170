"""Releases: one version everywhere, what is inside the images, where it came from, signed and put into one folder."""
