"""The GPT-SoVITS model family: text front end, networks, adapters, export, bundles."""
