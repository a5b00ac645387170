"""The stages that turn recordings into a voice bundle."""
