"""A real Kubernetes cluster on this machine: one control plane, two nodes, DNS and an object store."""
