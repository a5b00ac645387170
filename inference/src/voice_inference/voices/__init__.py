"""Which voices are served: the desired ones, the loaded ones, and the syncer between them."""
