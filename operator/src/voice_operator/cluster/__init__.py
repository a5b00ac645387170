"""The only input and output: the API server, the object store, the inference pods."""
