"""`sovits-core phones`: the symbol ids of each line of text, one line each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from sovits_core.errors import TextRejected
from sovits_core.text import (
    LOCALES,
    MAX_CHARACTERS,
    MODES,
    PhonemeSegment,
    PolyphoneReader,
    phonemize,
    require_locale,
    require_mode,
)
from sovits_core.text.chinese.g2pw import open_g2pw
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon
from sovits_core.text.lexicon_file import LEXICON_FILE, read_lexicon
from sovits_core.text.symbols import phone_ids, symbols

HELP = "print the symbol ids of each line of text"
# Four bytes are the longest character of UTF-8, and a line may end in two more.
_LONGEST_LINE = 4 * MAX_CHARACTERS + 2
_BYTE_ORDER_MARK = "\ufeff"
Reading = tuple[PolyphoneReader | None, Lexicon]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", help="the text; without it, lines of UTF-8 are read from standard input")
    parser.add_argument("--language", default="en", help=f"one of: {', '.join(MODES)}")
    parser.add_argument(
        "--locale",
        default="",
        help=f"how dates and numbers are written; without it as the language has them. One of: {', '.join(LOCALES)}",
    )
    parser.add_argument("--symbols", default="v2", help="symbol table for the ids: v1 or v2")
    parser.add_argument("--polyphones", type=Path, help="folder of a g2pW model that reads Mandarin's polyphones")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--names", action="store_true", help="print the symbols instead of their ids")
    form.add_argument("--normalized", action="store_true", help="print the text as it is spoken instead of ids")
    form.add_argument(
        "--explain",
        action="store_true",
        help="print a line for each word: language, how the text has it, how it is said, its phones, which rule and "
        "which dictionary",
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        help=f"readings of words that go before all others: {LEXICON_FILE}",
    )


def run(options: argparse.Namespace) -> None:
    """Print one line for each line of text; the first that cannot be read ends the command, with its number."""
    table = symbols(options.symbols)
    require_mode(options.language)
    require_locale(options.locale)
    polyphones = open_g2pw(options.polyphones) if options.polyphones else None
    reading = polyphones, read_lexicon(options.lexicon) if options.lexicon else NO_ENTRIES
    if options.text is not None:
        _print(options.text, options, table, reading)
        return
    for number, line in enumerate(iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE + 1), b""), start=1):
        if len(line) > _LONGEST_LINE:
            raise TextRejected(f"line {number} has more than {MAX_CHARACTERS} characters: split it first")
        try:
            text = line.decode("utf-8").rstrip("\r\n")
            _print(text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text, options, table, reading)
        except UnicodeDecodeError as error:
            raise TextRejected(f"line {number} is not UTF-8, from byte {error.start + 1} on: convert it") from error
        except TextRejected as error:
            raise TextRejected(f"line {number}: {error}") from error


def _print(text: str, options: argparse.Namespace, table: tuple[str, ...], reading: Reading) -> None:
    found = phonemize(text, options.language, options.symbols, *reading, locale=options.locale)
    if options.explain:
        lines = [line for part in found.segments for line in _explained(text, part)]
    elif options.normalized:
        lines = [found.normalized]
    else:
        ids = phone_ids(found.phones, options.symbols)
        lines = [" ".join(map(str, (table[index] for index in ids) if options.names else ids))]
    # flushed, so that what was read before an error is there when the error is told
    print(*lines, sep="\n", flush=True)  # noqa: T201 -- the output


def _explained(text: str, part: PhonemeSegment) -> Iterator[str]:
    for word in part.words:
        covered = part.origins[word.start : word.start + max(1, len(word.text))]
        written = text[min(one.start for one in covered) : max(one.end for one in covered)] if covered else ""
        rules = ", ".join(dict.fromkeys(one.rule for one in covered if one.rule)) or "as written"
        yield "\t".join(
            (part.language, written.replace("\n", " "), word.text, " ".join(word.phones), rules, word.source)
        )
