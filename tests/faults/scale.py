"""How much a run of the fault tests repeats: everything, or in CI and for a first look a part of it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Counts and seconds."""

    every: int  # of the n in "after the n-th": 1 is each of them
    edits: int
    away_seconds: float  # of the object store
    rest_seconds: float  # in which nothing may be written


FULL = Scale(every=1, edits=500, away_seconds=300, rest_seconds=30)
QUICK = Scale(every=6, edits=100, away_seconds=30, rest_seconds=10)


def scale() -> Scale:
    """Return the scale that $FAULTS names: full (the default) or quick."""
    return {"full": FULL, "quick": QUICK}[os.environ.get("FAULTS") or "full"]
