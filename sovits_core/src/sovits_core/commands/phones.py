"""`sovits-core phones`: the symbol ids of each line of text, one line each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sovits_core.errors import TextRejected
from sovits_core.text import MAX_CHARACTERS, MODES, PolyphoneReader, phonemize, require_mode
from sovits_core.text.chinese.g2pw import open_g2pw
from sovits_core.text.symbols import phone_ids, symbols

HELP = "print the symbol ids of each line of text"
# Four bytes are the longest character of UTF-8, and a line may end in two more.
_LONGEST_LINE = 4 * MAX_CHARACTERS + 2
_BYTE_ORDER_MARK = "\ufeff"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", help="the text; without it, lines of UTF-8 are read from standard input")
    parser.add_argument("--language", default="en", help=f"one of: {', '.join(MODES)}")
    parser.add_argument("--symbols", default="v2", help="symbol table for the ids: v1 or v2")
    parser.add_argument("--polyphones", type=Path, help="folder of a g2pW model that reads Mandarin's polyphones")
    parser.add_argument("--names", action="store_true", help="print the symbols instead of their ids")


def run(options: argparse.Namespace) -> None:
    """Print one line for each line of text; the first that cannot be read ends the command, with its number."""
    table = symbols(options.symbols)
    require_mode(options.language)
    polyphones = open_g2pw(options.polyphones) if options.polyphones else None
    if options.text is not None:
        _print(options.text, options, table, polyphones)
        return
    for number, line in enumerate(iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE + 1), b""), start=1):
        if len(line) > _LONGEST_LINE:
            raise TextRejected(f"line {number} has more than {MAX_CHARACTERS} characters: split it first")
        try:
            text = line.decode("utf-8").rstrip("\r\n")
            _print(text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text, options, table, polyphones)
        except UnicodeDecodeError as error:
            raise TextRejected(f"line {number} is not UTF-8, from byte {error.start + 1} on: convert it") from error
        except TextRejected as error:
            raise TextRejected(f"line {number}: {error}") from error


def _print(text: str, options: argparse.Namespace, table: tuple[str, ...], polyphones: PolyphoneReader | None) -> None:
    ids = phone_ids(phonemize(text, options.language, options.symbols, polyphones).phones, options.symbols)
    # flushed, so that what was read before an error is there when the error is told
    print(*((table[index] for index in ids) if options.names else ids), flush=True)  # noqa: T201 -- the output
