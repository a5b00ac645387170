"""How soon a voice is heard, and whether all of its words are: `make bench-speech`."""
