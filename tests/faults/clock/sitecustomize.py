"""Shifts the wall clock of a Python process by the seconds in the file $FAULTS_CLOCK; the monotonic clock stays."""

import datetime as dt
import os
import time

_FILE = os.environ.get("FAULTS_CLOCK", "")
_REAL_TIME = time.time
_READ_SECONDS = 0.5


class _Clock:
    """The shift, read again now and then."""

    shift = 0.0
    read_at = float("-inf")

    @classmethod
    def seconds(cls) -> float:
        if time.monotonic() - cls.read_at > _READ_SECONDS:
            with open(_FILE, encoding="ascii") as file:  # noqa: PTH123 -- pathlib is slow to import, and this runs first
                cls.shift = float(file.read())
            cls.read_at = time.monotonic()
        return cls.shift


def _time() -> float:
    return _REAL_TIME() + _Clock.seconds()


class _DateTime(dt.datetime):
    """A datetime whose present is shifted."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(_time(), dt.UTC).replace(tzinfo=None)


if _FILE:
    time.time = _time
    time.time_ns = lambda: int(_time() * 1e9)
    dt.datetime = _DateTime
