"""Mandarin characters with several readings, read in context by a g2pW network in ONNX; no torch, no downloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import MissingExtra, TextModelRejected
from sovits_core.text.chinese.characters import VOCABULARY, require_file
from sovits_core.text.chinese.g2pw_tables import MONOPHONIC, POLYPHONIC, SPELLINGS, Tables, read_tables
from sovits_core.text.chinese.readings import Reading

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from opencc import OpenCC

NETWORK = "g2pW.onnx"
FILES = (NETWORK, POLYPHONIC, MONOPHONIC, SPELLINGS, VOCABULARY)
"""Files of a model's folder."""
LARGEST_NETWORK = 2**31  # bytes; protobuf's own limit, the official one has 635 MB

_WHOLE, _FRACTION = "tensor(int64)", "tensor(float)"
_INPUTS = {
    "input_ids": _WHOLE,
    "token_type_ids": _WHOLE,
    "attention_mask": _WHOLE,
    "phoneme_mask": _FRACTION,
    "char_ids": _WHOLE,
    "position_ids": _WHOLE,
}
_OUTPUT = "probs"
# What the network sees around the characters it is asked about, and how much it takes at once beside its two marks.
_CONTEXT = 16
_LONGEST = 510


class Window(NamedTuple):
    """A part of a clause, and the places in the clause whose characters are asked about there."""

    start: int
    end: int
    places: tuple[int, ...]


class G2pw:
    """A `PolyphoneReader`; holds no state between calls, so any number of threads may read at the same time."""

    def __init__(self, folder: Path, session: InferenceSession, tables: Tables) -> None:
        self._name = f"{folder.name}/{NETWORK}"
        self._session = session
        self._tables = tables

    def read(self, clause: str) -> list[Reading | None]:
        """Return a reading for each character, None where the dictionary shall decide.

        Raises:
            MissingExtra: the `zh` extra is not installed.
            TextModelRejected: the network does not answer as it should.
        """
        text = _traditional(clause)
        found = [self._tables.certain.get(character) for character in text]
        asked = [place for place, character in enumerate(text) if self._tables.is_read(character)]
        for window in windows(len(text), asked):
            for place, answer in zip(window.places, self._ask(text, window), strict=True):
                found[place] = self._tables.answers[answer]
        return found

    def require_answers(self) -> None:
        """Try the highest number of every table; raise TextModelRejected where the network does not know it."""
        last = len(self._tables.numbers) - 1
        self._run(np.array([[self._tables.characters.last] * 3]), [0, last], [1, 1])

    def _ask(self, text: str, window: Window) -> list[int]:
        """Return the most likely answer for each place of the window."""
        tokens = self._tables.characters.tokens(text[window.start : window.end])
        numbers = [self._tables.numbers[text[place]] for place in window.places]
        after_mark = [place - window.start + 1 for place in window.places]
        chances = self._run(tokens, numbers, after_mark)  # (places, answers)
        return [int(best) for best in np.where(self._tables.possible[numbers] > 0, chances, -1.0).argmax(axis=1)]

    def _run(self, tokens: NDArray[np.int64], numbers: Sequence[int], positions: Sequence[int]) -> NDArray[np.float32]:
        """Return float32 (questions, answers); all questions are about one row of tokens, as the network was made."""
        possible = self._tables.possible[list(numbers)]
        inputs: dict[str, NDArray[Any]] = {
            "input_ids": tokens,
            "token_type_ids": np.zeros_like(tokens),
            "attention_mask": np.ones_like(tokens),
            "phoneme_mask": possible,
            "char_ids": np.array(numbers, dtype=np.int64),
            "position_ids": np.array(positions, dtype=np.int64),
        }
        try:
            chances: NDArray[np.float32] = self._session.run([_OUTPUT], inputs)[0]
        except Exception as error:  # onnxruntime has one class per status code, all directly below Exception
            raise TextModelRejected(f"{self._name} cannot be run as a g2pW network: {str(error)[:300]}") from error
        if chances.shape != possible.shape or not np.isfinite(chances).all():
            raise TextModelRejected(
                f"{self._name} answers {len(numbers)} questions with an array of shape {chances.shape}, not with finite"
                f" numbers of shape {possible.shape}: fetch the official file"
            )
        return chances


def open_g2pw(folder: Path, *, threads: int = 1) -> G2pw:
    """Open a folder with the files in `FILES`, and try the network once.

    Raises:
        TextModelRejected: a file is missing, too large or not what it should be, or onnxruntime is not installed.
    """
    path = require_file(folder, NETWORK, LARGEST_NETWORK)
    session = _open_session(path, threads)
    name = f"{folder.name}/{NETWORK}"
    found = {given.name: given.type for given in session.get_inputs()}
    if found != _INPUTS:
        raise TextModelRejected(f"{name} takes {_listed(found)}, but a g2pW network takes {_listed(_INPUTS)}")
    if _OUTPUT not in (outputs := [output.name for output in session.get_outputs()]):
        raise TextModelRejected(f"{name} returns {', '.join(outputs)}, but a g2pW network returns {_OUTPUT}")
    shape = next(given.shape for given in session.get_inputs() if given.name == "phoneme_mask")
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise TextModelRejected(f"{name} takes a phoneme_mask of shape {shape}, the second size must be a number")
    reader = G2pw(folder, session, read_tables(folder, shape[1]))
    reader.require_answers()
    return reader


def windows(length: int, places: Sequence[int]) -> Iterator[Window]:
    """Yield windows on a clause of so many characters that show each place with 16 characters on both sides.

    As the official front end cuts it, a clause has one window from the first place's context to the last one's. Where
    that is longer than the network takes there are more, each for as many places as fit.
    """
    group: list[int] = []
    for place in places:
        if group and place - group[0] + 2 * _CONTEXT + 1 > _LONGEST:
            yield _window(length, group)
            group = []
        group.append(place)
    if group:
        yield _window(length, group)


def _window(length: int, places: list[int]) -> Window:
    return Window(max(0, places[0] - _CONTEXT), min(length, places[-1] + _CONTEXT + 1), tuple(places))


def _open_session(path: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime  # noqa: PLC0415 -- optional, 0.1 s to load
    except ModuleNotFoundError as error:
        raise TextModelRejected(f"{path.name} needs one more package: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would eat a pod's share of the CPU
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise TextModelRejected(
            f"{path.parent.name}/{path.name} is no graph that ONNX Runtime can load: {str(error)[:300]}"
        ) from error


def _listed(inputs: dict[str, str]) -> str:
    return ", ".join(f"{name} as {kind}" for name, kind in sorted(inputs.items())) or "nothing"


def _traditional(clause: str) -> str:
    """Return the clause in the characters that the network was trained on, one for each."""
    converted = _traditionalizer().convert(clause)
    return converted if len(converted) == len(clause) else clause


@cache
def _traditionalizer() -> OpenCC:
    try:
        from opencc import OpenCC  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise MissingExtra("Mandarin", "zh") from error
    return OpenCC("s2tw")
