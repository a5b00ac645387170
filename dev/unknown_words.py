"""`python -m dev.unknown_words`: phone error rates on English words that no dictionary here has, by who reads them."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dev.terminal import main_of
from dev.text_tables import cells
from sovits_core.text.english.dictionary import is_known
from sovits_core.text.english.network import open_network
from sovits_core.text.english.words import pronounce
from sovits_core.text.ipa import to_arpabet
from voice_trainer.recognition.error_rates import edit_distance

# Readings of public dictionaries, and readings from memory.
SOURCED, FROM_MEMORY = "en_unknown_words_sourced", "en_unknown_words"
ESPEAK = "espeak-ng"
UNKNOWN = "?"
# What espeak-ng writes otherwise: a weak i, o before r, softness, and the t between vowels.
_ESPEAK_SIGNS = {"\u1d7b": "\u026a", "o\u02d0": "\u0254\u02d0", "\u02b2": "", "\u027e": "t"}
Reader = Callable[[str], Sequence[str]]


class Word(NamedTuple):
    """A word and the readings that are right."""

    kind: str
    text: str
    readings: tuple[tuple[str, ...], ...]


def words(name: str) -> list[Word]:
    """Return the words of a table."""
    return [
        Word(kind, text, tuple(tuple(reading.split()) for reading in readings.split(" | ")))
        for kind, text, readings, *_ in cells(name)
    ]


def plain(phones: Sequence[str]) -> list[str]:
    """Return phones without stress, one vowel for the two of cot and caught, and no second r after that of a vowel."""
    stressless = [phone.rstrip("012") for phone in phones]
    bare = [
        phone
        for before, phone in zip(["", *stressless[:-1]], stressless, strict=True)
        if (before, phone) != ("ER", "R")
    ]
    return [
        "AA" if phone == "AO" and after != "R" else phone for phone, after in zip(bare, [*bare[1:], ""], strict=True)
    ]


def errors(word: Word, phones: Sequence[str]) -> tuple[int, int]:
    """Return wrong phones and all phones of the reading that is nearest."""
    found = plain(phones)
    return min((edit_distance(reading, found), len(reading)) for reading in map(plain, word.readings))


def espeak(word: str) -> Sequence[str]:
    """Return espeak-ng's American reading; `UNKNOWN` is a sound that American English has not."""
    spoken = subprocess.run([ESPEAK, "-q", "--ipa", "-v", "en-us", word], capture_output=True, text=True, check=True)
    ipa = spoken.stdout.strip().replace("\n", "").replace(" ", "")
    for sign, other in _ESPEAK_SIGNS.items():
        ipa = ipa.replace(sign, other)
    phones, rest = to_arpabet(ipa)
    while rest:  # a sound of another language: a phone that is wrong
        more, rest = to_arpabet(rest[1:])
        phones = (*phones, UNKNOWN, *more)
    return phones


def readers() -> dict[str, Reader]:
    """Return who reads, by name; espeak-ng where it is installed."""
    found: dict[str, Reader] = {
        "this front end": lambda word: pronounce(word).phones,
        "the network alone": lambda word: open_network().read(word) or (),
    }
    return found | ({"espeak-ng": espeak} if shutil.which(ESPEAK) else {})


def markdown(table: Sequence[Word], by_name: dict[str, Reader]) -> str:
    """Return the table: of each kind and reader the wrong phones in percent, and the words that are all right."""
    kinds = [*dict.fromkeys(word.kind for word in table), "**all**"]
    lines = [f"| kind | words | {' | '.join(by_name)} |", "| --- | --- |" + " --- |" * len(by_name)]
    for kind in kinds:
        chosen = [word for word in table if kind in {word.kind, "**all**"}]
        row = []
        for reader in by_name.values():
            counts = [errors(word, reader(word.text)) for word in chosen]
            rate = 100 * sum(wrong for wrong, _ in counts) / sum(length for _, length in counts)
            row.append(f"{rate:.1f} %, {sum(not wrong for wrong, _ in counts)}")
        lines.append(f"| {kind} | {len(chosen)} | {' | '.join(row)} |")
    return "\n".join(lines)


def _print_wrong(table: Sequence[Word], by_name: dict[str, Reader]) -> None:
    for word in table:
        for name, reader in by_name.items():
            if errors(word, phones := reader(word.text))[0]:
                print(word.text, name, " ".join(plain(phones)), sep="\t")


def main() -> int:
    """Read and print."""
    parser = argparse.ArgumentParser(prog="python -m dev.unknown_words", description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="print the words that are read otherwise, and how")
    options = parser.parse_args()
    by_name = readers()
    for name in (SOURCED, FROM_MEMORY):
        table = words(name)
        if known := [word.text for word in table if is_known(word.text)]:
            print(f"in the dictionary by now, so they tell nothing: {', '.join(known)}")
        if options.wrong:
            _print_wrong(table, by_name)
        print(f"{name}:\n\n{markdown(table, by_name)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
