"""`make fuzz-speech`: what hostile requests and connections do to a speech server, and to those who ask it well."""
