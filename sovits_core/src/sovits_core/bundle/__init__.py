"""Base bundles: base.json, the sizes of networks in it, and its files by digest; no torch."""
