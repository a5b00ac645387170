"""A voice on one machine: recordings and results are folders, without Kubernetes and without an object store."""
