"""Text from outside as one printable line: names, keys and messages that reach logs, statuses and terminals.

A line end forges a line of a log, ESC commands a terminal, and controls of writing direction show another text than is
there. Pure, so that every part of the product may use it.
"""

from __future__ import annotations

import logging
import unicodedata
from typing import Final

KEPT: Final = "\u200c\u200d"  # joiners: some scripts and emoji are written with them, and they show nothing else
INDENT: Final = "    "


def printable(text: str) -> str:
    r"""Return the text with everything that is no visible character or space escaped, as ``\n`` or ``\u202e``.

    Spaces of all widths become plain ones. Text that is printable already comes back as it is.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character in KEPT:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")


class PrintableFormatter(logging.Formatter):
    """Formats a record as one printable line; a traceback follows in indented ones, which look like no record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Return the line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return the traceback."""
        return _indented(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the stack."""
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(INDENT + printable(line) for line in text.split("\n"))
