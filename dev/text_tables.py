"""`python -m dev.text_tables`: how many rows of the tables of everyday text are read right, by language and kind."""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from dev.paths import REPOSITORY
from dev.terminal import main_of
from sovits_core.errors import TextRejected
from sovits_core.text import phonemize
from sovits_core.text.chinese import mandarin
from sovits_core.text.chinese.syllables import split_syllable

TABLES = REPOSITORY / "tests" / "sovits_core" / "text" / "tables"
LANGUAGES = ("en", "zh", "ja", "ko", "yue")
POLYPHONES, HELD_OUT, PUBLIC = "zh_polyphones", "zh_polyphones_held_out", "zh_polyphones_cpp"
# Pitch marks and the gaps between words follow the spelling: the sounds alone are compared.
_LEFT_OUT = {"ja": frozenset(["[", "]", "UNK"]), "ko": frozenset(["空"])}
_Counts = dict[str, dict[str, tuple[int, int]]]  # language -> kind -> rows read right, all rows


class Row(NamedTuple):
    """An input, and the texts that it may be read like."""

    kind: str
    given: str
    spoken: tuple[str, ...]
    wrong: bool
    """Whether it is known to be read otherwise."""


def cells(name: str) -> list[list[str]]:
    """Return the rows of a table of tests/sovits_core/text/tables, without comments."""
    lines = (TABLES / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def table(language: str) -> list[Row]:
    """Return the table of a language's everyday text."""
    return [
        Row(kind, _characters(given), tuple(_characters(text) for text in spoken.split(" | ")), bool(wrong))
        for kind, given, spoken, *wrong in cells(language)
    ]


def is_right(row: Row, language: str) -> bool:
    """Say whether the input has the phones of a text that it may be read like."""
    try:
        said = _sounds(row.given, language)
    except TextRejected:
        return False
    return any(said == _sounds(text, language) for text in row.spoken)


def is_read_so(sentence: str, reading: str) -> bool:
    """Say whether the Mandarin character in brackets is read so ("zhang3"), before tones change."""
    place = sentence.index("[")
    with mock.patch.object(mandarin, "change_tones", lambda _word, _tag, readings: [one.tone for one in readings]):
        part = phonemize(sentence.replace("[", "").replace("]", ""), "zh").segments[0]
    start = sum((part.word2ph or ())[:place])
    initial, final = split_syllable(reading[:-1])
    return part.phones[start : start + 2] == (initial, final + reading[-1])


def count() -> _Counts:
    """Return the rows that are read right, and all rows, by language and kind."""
    found: _Counts = {}
    for language in LANGUAGES:
        rows = table(language)
        right = Counter(row.kind for row in rows if is_right(row, language))
        found[language] = {kind: (right[kind], rows_) for kind, rows_ in Counter(row.kind for row in rows).items()}
    return found


def markdown(counts: _Counts, before: _Counts) -> str:
    """Return a table in Markdown: "18, 22 of 23" is 18 before and 22 now."""
    kinds = sorted({kind for by_kind in counts.values() for kind in by_kind})
    lines = [f"| kind | {' | '.join(LANGUAGES)} |", "| --- |" + " --- |" * len(LANGUAGES)]
    for kind in kinds:
        row = [_cell(counts[name].get(kind), before.get(name, {}).get(kind)) for name in LANGUAGES]
        lines.append(f"| {kind} | {' | '.join(row)} |")
    row = [_cell(_total(counts[name]), _total(before.get(name, {}))) for name in LANGUAGES]
    return "\n".join([*lines, f"| **all** | {' | '.join(row)} |"])


def main() -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(prog="python -m dev.text_tables", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench" / "text_tables.json")
    parser.add_argument("--before", type=Path, help="the file of an earlier count, to print beside this one")
    parser.add_argument("--wrong", action="store_true", help="print the rows that are read otherwise, and how")
    options = parser.parse_args()
    counts = count()
    before = json.loads(options.before.read_text(encoding="utf-8")) if options.before else {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(counts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.wrong:
        _print_wrong()
    print(markdown(counts, before))
    for name in (POLYPHONES, HELD_OUT, PUBLIC):
        rows = cells(name)
        print(f"{name}: {sum(is_read_so(*row[:2]) for row in rows)} of {len(rows)}")
    return 0


def _print_wrong() -> None:
    for language in LANGUAGES:
        for row in table(language):
            if not is_right(row, language):
                print(language, row.kind, row.given, " | ".join(row.spoken), said(row.given, language), sep="\t")


def said(text: str, language: str) -> str:
    """Return how a text is written out, or why it is refused."""
    try:
        return phonemize(text, language).normalized
    except TextRejected as error:
        return f"refused: {error}"


def _sounds(text: str, language: str) -> list[str]:
    return [phone for phone in phonemize(text, language).phones if phone not in _LEFT_OUT.get(language, ())]


def _characters(cell: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), cell).replace("\\n", "\n")


def _total(by_kind: dict[str, tuple[int, int]]) -> tuple[int, int] | None:
    return (sum(right for right, _ in by_kind.values()), sum(rows for _, rows in by_kind.values())) if by_kind else None


def _cell(now: tuple[int, int] | None, before: tuple[int, int] | None) -> str:
    if not now:
        return ""
    return f"{f'{before[0]}, ' if before else ''}{now[0]} of {now[1]}"


if __name__ == "__main__":
    sys.exit(main_of(main))
