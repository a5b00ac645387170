"""`python -m dev.docs.cli_page`: writes the commands' section of docs/cli.md from the program's own help."""

from __future__ import annotations

import sys
from pathlib import Path

from voice_cli.commands.all import voice
from voice_cli.manual import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
MARK = "## Commands\n"


def page() -> str:
    """Return the page: what people wrote, then what the program says of itself."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return f"{written}{MARK}\n{markdown(voice)}"


def main() -> int:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
