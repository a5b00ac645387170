"""All I/O: API server, object store, inference pods."""
