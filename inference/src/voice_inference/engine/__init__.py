"""Text to audio with a loaded voice."""
