"""Job plumbing: documents, store, exit codes, signals; nothing here knows speech."""
