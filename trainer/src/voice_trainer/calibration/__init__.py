"""What a base reaches on real speakers, as gates of its own."""
