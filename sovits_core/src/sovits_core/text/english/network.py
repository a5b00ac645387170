"""The network that reads English words which no dictionary has: a GRU from letters to phones, run with NumPy.

Park & Kim 2019, g2pE, github.com/Kyubyong/g2p: the official front end's own. Its weights are a file in the wheel
`g2p-en` (Apache-2.0), read as data: the package is never imported, because it would fetch a tagger.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import TextModelRejected
from sovits_core.text.word_lists import word_list

FILE: Final = "checkpoint20.npz"
SHA256: Final = "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6"
MAX_PHONES: Final = 20
_LETTERS: Final = {letter: index + 3 for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
_END_OF_WORD: Final = 2
_START, _STOP, _FIRST_PHONE = 2, 3, 4
_PHONES: Final = word_list(
    "AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 "
    "EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 "
    "UW1 UW2 V "
    "W Y Z ZH"
)

Array = NDArray[np.float32]


class Gru(NamedTuple):
    """A layer of gated recurrent units; the gates are reset, update and new, in this order."""

    input_weight: Array  # (3 * hidden, embedding)
    hidden_weight: Array  # (3 * hidden, hidden)
    input_bias: Array
    hidden_bias: Array

    # Cho et al. 2014, arXiv:1406.1078
    def step(self, value: Array, hidden: Array) -> Array:
        """Return the next hidden state for a value (embedding,) and a hidden state (hidden,)."""
        size = len(hidden)
        from_input = self.input_weight @ value + self.input_bias
        from_hidden = self.hidden_weight @ hidden + self.hidden_bias
        gates = 1 / (1 + np.exp(-(from_input[: 2 * size] + from_hidden[: 2 * size])))
        reset, update = gates[:size], gates[size:]
        new = np.tanh(from_input[2 * size :] + reset * from_hidden[2 * size :])
        state: Array = (1 - update) * new + update * hidden
        return state


class Network(NamedTuple):
    """An encoder over letters, a decoder over phones, and the layer that chooses one."""

    letters: Array  # (29, embedding)
    encoder: Gru
    phones: Array  # (74, embedding)
    decoder: Gru
    weight: Array  # (74, hidden)
    bias: Array

    def read(self, word: str) -> list[str]:
        """Return at most 20 phones of a word of lower-case letters, the likeliest one after another."""
        hidden: Array = np.zeros(self.weight.shape[1], np.float32)
        for index in [*(_LETTERS[letter] for letter in word), _END_OF_WORD]:
            hidden = self.encoder.step(self.letters[index], hidden)
        found: list[str] = []
        last = _START
        while len(found) < MAX_PHONES:
            hidden = self.decoder.step(self.phones[last], hidden)
            last = int((self.weight @ hidden + self.bias).argmax())
            if last == _STOP:
                break
            if last >= _FIRST_PHONE:
                found.append(_PHONES[last - _FIRST_PHONE])
        return found


@cache
def open_network() -> Network:
    """Load the network; raise TextModelRejected when its file is missing or another one."""
    path = wheel_file(FILE, SHA256)
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in stored.files}
    encoder, decoder = (
        Gru(*(arrays[f"{part}_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))) for part in ("enc", "dec")
    )
    return Network(arrays["enc_emb"], encoder, arrays["dec_emb"], decoder, arrays["fc_w"], arrays["fc_b"])


def wheel_file(name: str, sha256: str) -> Path:
    """Return the path of a file of the wheel `g2p-en`; raise TextModelRejected when it is missing or another one."""
    spec = find_spec("g2p_en")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0], name) if folders else None
    if path is None or not path.is_file():
        raise TextModelRejected(f"g2p_en/{name} is not installed, which English needs: pip install g2p-en==2.1.0")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise TextModelRejected(
            f"g2p_en/{name} has the SHA-256 {found}, expected {sha256}: pip install --force-reinstall g2p-en==2.1.0"
        )
    return path
