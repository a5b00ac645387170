"""Where Debian's packages come from: the archive of one day where it answers, else the mirror as it is today."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request

from dev.errors import DevError
from dev.terminal import say

SUITE = "bookworm"  # Debian's Python there is 3.11, the oldest we support
SNAPSHOT = "20261128T000000Z"
"""The day whose packages a build takes, UTC. A release moves it on, or it would ship what was mended since."""
ARCHIVE = "http://snapshot.debian.org/archive"
MIRROR = "http://deb.debian.org"
SUITES = (("debian", SUITE), ("debian", f"{SUITE}-updates"), ("debian-security", f"{SUITE}-security"))
TIMEOUT_SECONDS = 5


def wanted() -> str:
    """The day that DEBIAN_SNAPSHOT names, else the pinned one; empty: the mirror.

    Raises:
        DevError: what DEBIAN_SNAPSHOT holds is no day.
    """
    day = os.environ.get("DEBIAN_SNAPSHOT", SNAPSHOT)
    if day and not re.fullmatch(r"\d{8}T\d{6}Z", day):
        raise DevError(
            f"DEBIAN_SNAPSHOT={day} is no day of the archive",
            remedy=f"write it as {SNAPSHOT}, or leave it empty to take today's mirror",
        )
    return day


def chosen() -> str:
    """The day that this build takes; empty, and said so, where the archive does not answer from this machine."""
    day = wanted()
    if day and not answers(f"{ARCHIVE}/debian/{day}/dists/{SUITE}/Release"):
        say(f"  {ARCHIVE} does not answer: Debian's packages are today's of {MIRROR}, not those of {day}")
        return ""
    return day


def answers(url: str) -> bool:
    """Whether a file of the archive can be read."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return True
    except (urllib.error.URLError, OSError):
        return False


def lines(day: str) -> list[str]:
    """Apt's sources for that day, else for the mirror. The date of old lists has passed; their signature holds."""
    if not day:
        return [f"deb {MIRROR}/{archive} {suite} main" for archive, suite in SUITES]
    return [f"deb [check-valid-until=no] {ARCHIVE}/{archive}/{day} {suite} main" for archive, suite in SUITES]
