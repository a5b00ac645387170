"""The three resources as types; the CRDs are generated from them."""
