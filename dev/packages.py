"""`python3 -m dev.packages`: the Debian programs that tests and demo call, installed only when missing."""

import sys

from dev import debian
from dev.terminal import main_of

PROGRAMS = {
    "chromium": "chromium",  # opens the speech server's page in tests/inference/browser
    "ffmpeg": "ffmpeg",  # the trainer normalises with it
    "flite": "flite",  # speaks for tests and for `make bench-voice`
}


def main() -> int:
    """Install the missing packages; where none is missing this takes no time."""
    debian.ensure(PROGRAMS)
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
