"""Pure decisions: from the observed state to effects, status and Events. No clock, no client."""
