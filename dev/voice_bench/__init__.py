"""The voice bench: objective measures of a base's speech and of voices fine-tuned on it (`make bench-voice`)."""
