"""Pure decisions: what was observed goes in, what to do and what to say comes out. No clock, no client."""
