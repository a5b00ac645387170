"""Chinese characters to the numbers a BERT knows them by: one token each, by the lines of its vocab.txt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import TextModelRejected

VOCABULARY = "vocab.txt"
LARGEST_FILE = 16 * 2**20  # bytes of a table; the largest that is known has 0.3 MB
_OFFICIAL = "chinese-roberta-wwm-ext-large"
_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


@dataclass(frozen=True)
class Characters:
    """A vocabulary, for texts in which each character is a token: Han characters and marks."""

    numbers: Mapping[str, int]

    def tokens(self, text: str) -> NDArray[np.int64]:
        """Return int64 (1, characters + 2): the text between its two marks, unknown characters as unknown."""
        unknown = self.numbers[_UNKNOWN]
        inside = [self.numbers.get(character, unknown) for character in text]
        return np.array([[self.numbers[_BEGIN], *inside, self.numbers[_END]]], dtype=np.int64)

    @property
    def last(self) -> int:
        """The highest number."""
        return max(self.numbers.values())


def read_characters(folder: Path) -> Characters:
    """Read a folder's vocab.txt, a token on each line.

    Raises:
        TextModelRejected: it is missing, too large or not UTF-8, or lacks one of the marks.
    """
    # Some tokens are separators that `splitlines` would split at.
    lines = read_table(folder, VOCABULARY).removesuffix("\n").split("\n")
    numbers = {token: number for number, token in enumerate(lines)}
    if missing := [mark for mark in (_BEGIN, _END, _UNKNOWN) if mark not in numbers]:
        raise TextModelRejected(
            f"{folder.name}/{VOCABULARY} has no {', '.join(missing)}: it is no BERT's, put that of {_OFFICIAL} there"
        )
    return Characters(numbers)


def read_table(folder: Path, name: str) -> str:
    """Return a small UTF-8 file of a model's folder.

    Raises:
        TextModelRejected: there is no such file, or it is too large, or not UTF-8.
    """
    path = require_file(folder, name, LARGEST_FILE)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TextModelRejected(f"{folder.name}/{name} is not UTF-8, from byte {error.start} on") from error
    except OSError as error:
        raise TextModelRejected(f"{folder.name}/{name} cannot be read: {error.strerror}") from error


def require_file(folder: Path, name: str, limit: int) -> Path:
    """Return where a file of a model's folder lies.

    Raises:
        TextModelRejected: there is no such file, or it has more than `limit` bytes.
    """
    path = folder / name
    if not path.is_file():  # a pipe or a device neither
        # the official g2pW folder is the one model that comes without its vocabulary
        remedy = f"put that of {_OFFICIAL} there" if name == VOCABULARY else "name the model's whole folder"
        raise TextModelRejected(f"{folder.name}/{name} is missing: {remedy}")
    if (size := path.stat().st_size) > limit:
        raise TextModelRejected(f"{folder.name}/{name} has {size} bytes, at most {limit} are read")
    return path
