"""Recordings: decoding, loudness, voice activity, transcripts, clips."""
