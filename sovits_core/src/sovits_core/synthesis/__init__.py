"""From phones to semantic tokens to a waveform."""
