"""How well a base speaks, and how well voices trained on it do: `make bench-voice`."""
