"""The demonstration: from recordings of a speaker to a voice that speaks from an in-cluster Service."""
