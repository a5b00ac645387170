"""How wide the columns of a table are on a terminal; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

GAP = 2
MIN_LAST = 24  # characters of the last column beside the others; with fewer it has lines of its own
MIN_COLUMN = 8
ELLIPSIS = "…"


@dataclass(frozen=True)
class Layout:
    """Widths of all columns; the last one stands below the others where it has no room beside them."""

    widths: tuple[int, ...]
    below: bool


def layout_of(rows: Sequence[Sequence[str]], width: int) -> Layout:
    """Return the layout of rows, the heads among them, in so many characters.

    Every cell is as wide as it is while there is room; then the last column is cut, and then the widest of the others,
    but never the first.
    """
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) <= width or len(widths) == 1:
        return Layout(tuple(widths), below=False)
    *others, last = widths
    room = width - sum(others) - GAP * len(others)
    if room >= min(last, MIN_LAST):
        return Layout((*others, min(last, room)), below=False)
    while sum(others) + GAP * (len(others) - 1) > width and max(others[1:], default=0) > MIN_COLUMN:
        widest = max(range(1, len(others)), key=others.__getitem__)
        others[widest] -= 1
    return Layout((*others, min(last, width - 2 * GAP)), below=True)


def fitted(text: str, width: int) -> str:
    """Return text in exactly so many characters; what is cut ends with an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(width - 1, 0)) + ELLIPSIS
