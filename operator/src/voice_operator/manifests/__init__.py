"""Pure functions from a decision and the settings to Kubernetes objects."""
