"""Tools for working on voice-operator: a real Kubernetes cluster on this machine, and its container images."""
