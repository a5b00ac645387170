"""Our own weight files: whole networks, and adapters in PEFT's layout."""
