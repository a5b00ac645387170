"""The three container images: built without a container engine's daemon, handed to the nodes without a registry."""
