"""Examines an installation from a caller's side: facts are gathered once, and judged by pure checks."""
