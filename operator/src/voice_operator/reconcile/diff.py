"""Whether an object already is as it should be: the API server adds defaults, so equality would always say no."""

from typing import Any


def covers(actual: Any, wanted: Any) -> bool:
    """Tell whether everything in ``wanted`` is in ``actual``; what else is there does not matter.

    Lists must be of equal length, for nothing that the operator writes is a list that others add to.
    """
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            covers(actual.get(key), value) or (actual.get(key) is None and value in ({}, [], ""))
            for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return isinstance(actual, list) and len(actual) == len(wanted) and all(map(covers, actual, wanted))
    return bool(actual == wanted)
