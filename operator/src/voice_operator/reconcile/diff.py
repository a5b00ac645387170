"""Whether an object already is as it should be: the API server adds defaults, so equality would always say no."""

from typing import Any


def is_subset(desired: Any, actual: Any) -> bool:
    """Tell whether everything in ``desired`` is in ``actual``; what else is there does not matter.

    Lists must be of equal length, for nothing that the operator writes is a list that others add to.
    """
    if isinstance(desired, dict):
        return isinstance(actual, dict) and all(
            is_subset(value, actual.get(key)) or (actual.get(key) is None and value in ({}, [], ""))
            for key, value in desired.items()
        )
    if isinstance(desired, list | tuple):
        return isinstance(actual, list) and len(actual) == len(desired) and all(map(is_subset, desired, actual))
    return bool(actual == desired)
