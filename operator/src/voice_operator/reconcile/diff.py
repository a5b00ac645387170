"""Comparison of desired and actual objects: the API server adds defaults, so equality would never hold."""

from typing import Any

from voice_operator.units import quantity


def difference(desired: Any, actual: Any, path: str = "") -> str | None:
    """Return the path of the first field of ``desired`` that ``actual`` does not have; other fields are ignored.

    Lists must be of equal length, because no controller adds items to a list that the operator writes.
    """
    if isinstance(desired, dict):
        if not isinstance(actual, dict):
            return path
        found = (
            difference(value, actual.get(key), f"{path}.{key}" if path else key)
            for key, value in desired.items()
            if actual.get(key) is not None or value not in ({}, [], "")
        )
        return next((one for one in found if one is not None), None)
    if isinstance(desired, list | tuple):
        if not isinstance(actual, list) or len(actual) != len(desired):
            return path
        found = (difference(*pair, f"{path}[{index}]") for index, pair in enumerate(zip(desired, actual, strict=True)))
        return next((one for one in found if one is not None), None)
    return None if actual == desired or _same_quantity(desired, actual, path) else path


def _same_quantity(desired: Any, actual: Any, path: str) -> bool:
    """Return whether two requests or limits are equal: the API server writes "0.5" as "500m"."""
    if ".resources." not in path:
        return False
    try:
        return quantity(desired) == quantity(actual)
    except ValueError:
        return False
