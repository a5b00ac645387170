"""The tables beside a g2pW network: which characters it reads, what its answers mean, and who is read one way only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import TextModelRejected
from sovits_core.text.chinese.characters import Characters, read_characters, read_table
from sovits_core.text.chinese.readings import Reading, parse
from sovits_core.text.chinese.syllables import split_syllable
from sovits_core.text.symbols import UNKNOWN

POLYPHONIC, MONOPHONIC = "POLYPHONIC_CHARS.txt", "MONOPHONIC_CHARS.txt"
SPELLINGS = "bopomofo_to_pinyin_wo_tune_dict.json"
# The network, or the table, reads these worse than the dictionary does; the official front end skips the same.
_BETTER_KNOWN = frozenset("一不和咋嗲剖差攢倒難奔勁拗肖瘙誒泊听噢")
_NOT_ONE_WAY = frozenset("似攢")


@dataclass(frozen=True)
class Tables:
    """Vocabulary and labels of the network; its characters are traditional ones."""

    numbers: Mapping[str, int]
    """Character to its number, of those that the network was trained on."""
    answers: tuple[Reading | None, ...]
    """The reading that each answer of the network stands for, None where the phone table cannot write it."""
    possible: NDArray[np.float32]
    """(characters, answers): 1 where the character is read so, 0 elsewhere."""
    certain: Mapping[str, Reading]
    """The reading of characters that have one."""
    characters: Characters

    def is_read(self, character: str) -> bool:
        """Say whether the network is to be asked about the character."""
        return character in self.numbers and character not in _BETTER_KNOWN


def read_tables(folder: Path, answers: int) -> Tables:
    """Read the tables of a model's folder.

    Args:
        folder: of a g2pW model with vocab.txt. Its config.py is a program, and nothing here looks at it.
        answers: how many answers the network tells apart.

    Raises:
        TextModelRejected: a table is missing, too large or malformed, or belongs to another network.
    """
    spellings = _read_spellings(folder)
    polyphonic = list(_read_pairs(folder, POLYPHONIC))
    labels, named = _labels(folder, polyphonic, answers)
    places = {label: place for place, label in enumerate(labels)}
    numbers = {character: number for number, character in enumerate(sorted({one for one, _ in polyphonic}))}
    possible = np.zeros((len(numbers), len(labels)), dtype=np.float32)
    for (character, _), label in zip(polyphonic, named, strict=True):
        possible[numbers[character], places[label]] = 1
    certain = {
        character: reading
        for character, label in _read_pairs(folder, MONOPHONIC)
        if character not in _NOT_ONE_WAY and (reading := _reading(label, spellings))
    }
    readings = tuple(_reading(label.split(" ")[-1], spellings) for label in labels)
    return Tables(numbers, readings, possible, certain, read_characters(folder))


def _labels(folder: Path, polyphonic: list[tuple[str, str]], answers: int) -> tuple[list[str], list[str]]:
    """Return the network's answers in its order, and the answer that each line of the table is.

    There are networks that tell syllables apart and networks that tell pairs of character and syllable apart; how many
    answers there are says which.
    """
    syllables = [syllable for _, syllable in polyphonic]
    pairs = [f"{character} {syllable}" for character, syllable in polyphonic]
    for named in (syllables, pairs):
        if len(labels := sorted(set(named))) == answers:
            return labels, named
    raise TextModelRejected(
        f"{folder.name}/{POLYPHONIC} lists {len(set(syllables))} syllables in {len(set(pairs))} readings, but the"
        f" network has {answers} answers: take both from one release"
    )


def _read_pairs(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield character and syllable in Bopomofo, with its tone as a digit, of each line."""
    for number, line in enumerate(read_table(folder, name).rstrip().split("\n"), start=1):
        character, _, label = line.partition("\t")
        if len(character) != 1 or label[:-1].strip() != label[:-1] or not label[:-1] or label[-1] not in "12345":
            raise TextModelRejected(
                f"{folder.name}/{name}: line {number} is {line[:40]!r}, and no character with a syllable and its tone:"
                " fetch the file again"
            )
        yield character, label


def _read_spellings(folder: Path) -> dict[str, str]:
    try:
        found = json.loads(read_table(folder, SPELLINGS))
    except (ValueError, RecursionError) as error:
        raise TextModelRejected(f"{folder.name}/{SPELLINGS} is no JSON ({error}): fetch it again") from error
    if not isinstance(found, dict) or not all(isinstance(spelt, str) for spelt in found.values()):
        raise TextModelRejected(f"{folder.name}/{SPELLINGS} does not map syllables to Pinyin: fetch it again")
    return found


def _reading(label: str, spellings: Mapping[str, str]) -> Reading | None:
    reading = parse(spellings.get(label[:-1], "") + label[-1])
    return reading if reading and split_syllable(reading.syllable)[0] != UNKNOWN else None
