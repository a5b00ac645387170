"""Comparison of desired and actual objects: the API server adds defaults, so equality would never hold."""

from typing import Any


def is_subset(desired: Any, actual: Any) -> bool:
    """Return whether every field of ``desired`` has its value in ``actual``; other fields are ignored.

    Lists must be of equal length, because no controller adds items to a list that the operator writes.
    """
    if isinstance(desired, dict):
        return isinstance(actual, dict) and all(
            is_subset(value, actual.get(key)) or (actual.get(key) is None and value in ({}, [], ""))
            for key, value in desired.items()
        )
    if isinstance(desired, list | tuple):
        return isinstance(actual, list) and len(actual) == len(desired) and all(map(is_subset, desired, actual))
    return bool(actual == desired)
