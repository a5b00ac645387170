"""`make bench-recordings`: what judging and denoising recordings does to real speech, and what it costs."""
