"""What commands print: tables and colours on terminals, plain columns in pipes, JSON, YAML or names where asked."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import yaml
from rich.console import Console
from rich.text import Text

from voice_cli.columns import GAP, MIN_LAST, Layout, fitted, layout_of
from voice_store.printable import printable

Format = Literal["text", "wide", "json", "yaml", "name"]

STYLES = {
    "done": "green",
    "Ready": "green",
    "ok": "green",
    "running": "cyan",
    "waiting": "dim",
    "skipped": "dim",
    "failed": "bold red",
    "Failed": "bold red",
    "fault": "bold red",
    "warning": "yellow",
    "unknown": "yellow",
    "AwaitingReview": "yellow",
    "Unused": "dim",
    "Suspended": "yellow",
}
MARKS = {"done": "✓", "ok": "✓", "failed": "✗", "fault": "✗", "running": "●", "waiting": "○", "skipped": "-"}
MARKS |= {"warning": "!", "unknown": "?"}
PLAIN_MARKS = {"✓": "+", "✗": "x", "●": "*", "○": "."}


class Output:
    """Prints to standard output in one format; colours follow the terminal and NO_COLOR."""

    def __init__(self, format: Format = "text") -> None:  # noqa: A002 -- what -o is called
        self.format = format
        self.console = Console(highlight=False, emoji=False, markup=False)
        self.notes = Console(highlight=False, emoji=False, markup=False, stderr=True)

    @property
    def is_text(self) -> bool:
        """Whether people read it."""
        return self.format in {"text", "wide"}

    def document(self, document: Any, names: Iterable[str] = ()) -> None:
        """Print a document as JSON or YAML, or the names of the objects."""
        if self.format == "json":
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        elif self.format == "yaml":
            sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
        else:
            sys.stdout.write("".join(f"{name}\n" for name in names))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], style_of: int | None = None) -> None:
        """Print columns; the last one gives way where the terminal is narrow.

        Args:
            heads: of the columns; one without any cell is left out, unless it is the first.
            rows: as many cells as heads.
            style_of: column whose first word chooses its colour.
        """
        kept = [n for n in range(len(heads)) if n == 0 or any(row[n] for row in rows)]
        shown = [[printable(row[n]) for n in kept] for row in rows]
        names = [heads[n] for n in kept]
        if not self.console.is_terminal:
            self._plain(names, shown)
            return
        layout = layout_of((names, *shown), self.console.width)
        titles = [Text(fitted(name, size), "bold") for name, size in zip(names, layout.widths, strict=True)]
        self._row([*titles[:-1], Text()] if layout.below else titles, layout)
        styled = kept.index(style_of) if style_of in kept else None
        for row in shown:
            cells = [Text(fitted(cell, size)) for cell, size in zip(row, layout.widths, strict=True)]
            if styled is not None:
                cells[styled].stylize(STYLES.get(row[styled].split(" ")[0], ""))
            self._row(cells, layout)

    def _row(self, cells: list[Text], layout: Layout) -> None:
        last = cells.pop() if layout.below else None
        line = Text(" " * GAP).join(cells)
        line.rstrip()
        self.console.print(line, soft_wrap=True)
        if last is not None and last.plain.strip():
            last.rstrip()
            self.console.print(Text(" " * 2 * GAP) + last, soft_wrap=True)

    def _plain(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        for row in (names, *rows):
            line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            sys.stdout.write(line.rstrip() + "\n")

    def line(self, *parts: tuple[str, str] | str, indent: int = 0, hanging: int = 0) -> None:
        """Print one line of parts, each plain or with a style; it is wrapped with ``hanging`` blanks on terminals."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(printable(words), style)
        if not self.console.is_terminal:
            sys.stdout.write(" " * indent + text.plain.rstrip() + "\n")
            return
        width = max(self.console.width - max(indent, hanging), MIN_LAST)
        for number, piece in enumerate(text.wrap(self.console, width)):
            piece.rstrip()
            self.console.print(Text(" " * (hanging if number else indent)) + piece)

    def mark(self, state: str) -> tuple[str, str]:
        """Return the sign of a state and its style; plain characters where the encoding has no others."""
        sign = MARKS.get(state, " ")
        encoding = (self.console.encoding or "ascii").lower()
        return (sign if encoding.startswith("utf") else PLAIN_MARKS.get(sign, sign)), STYLES.get(state, "")

    def note(self, text: str) -> None:
        """Tell people something beside the result, on standard error."""
        self.notes.print(Text("\n".join(map(printable, text.splitlines()))), soft_wrap=True)
