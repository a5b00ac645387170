"""Amounts as Kubernetes writes them: durations (1h30m) and quantities (1.5Gi, 500m, 2e9)."""

import math
import re
from fractions import Fraction

_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,2}|[KMGTPE]i|[numkMGTPE])?$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}  # powers of 10
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}  # powers of 2


def seconds(duration: str) -> int:
    """Return the length of 12h, 90m or 1h30m in seconds.

    Raises:
        ValueError: ``duration`` has another form.
    """
    match = _DURATION.match(duration)
    if match is None or not duration:
        raise ValueError(f"{duration!r} is no duration such as 12h, 90m or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return (hours * 60 + minutes) * 60 + rest


def quantity(text: str | float) -> Fraction:
    """Return the value of a quantity; memory is in bytes.

    Raises:
        ValueError: ``text`` has another form.
    """
    match = _QUANTITY.match(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity such as 16Gi, 500m or 2e9")
    number, suffix = Fraction(match.group(1)), match.group(2) or ""
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    return number * Fraction(10) ** _DECIMAL.get(suffix, int(suffix[1:] or 0))


def mebibytes(size: Fraction) -> str:
    """Return a size in bytes as a quantity, rounded up to whole Mi."""
    return f"{math.ceil(size / 2**20)}Mi"
