"""The server: text and a voice id in, audio out."""
