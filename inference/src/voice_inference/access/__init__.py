"""Who may speak with which voices, and how much: API keys, tokens, scopes, limits."""
