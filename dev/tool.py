"""`python3 -m dev.tool helm`: print the path of a pinned program, building it first when it was never built here."""

import argparse
import sys

from dev import builds
from dev.terminal import main_of


def main() -> int:
    """Build the program, if need be, and print its path alone on standard output."""
    parser = argparse.ArgumentParser(prog="python3 -m dev.tool", description=__doc__)
    parser.add_argument("name", choices=sorted(builds.PROGRAMS), help="which program")
    name = parser.parse_args().name
    print(builds.kubectl() if name == "kubectl" else builds.build(name))
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
