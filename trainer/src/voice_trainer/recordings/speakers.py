"""Whose voice a clip has: the GE2E speaker encoder, and which clips do not have the voice of the others.

Wan et al. 2018, Generalized End-to-End Loss for Speaker Verification, arXiv:1710.10467; the weights are Resemblyzer's,
the network is computed here with NumPy, so that stage prepare needs no torch.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.cluster import hierarchy
from scipy.spatial import distance

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import rms_dbfs
from voice_trainer.recordings.models import SPEAKER_ENCODER, verified

Embedding = NDArray[np.float32]  # (256), of length 1
Weights = dict[str, NDArray[np.float32]]

RATE: Final = 16_000  # Hz
MELS: Final = 40
WINDOW: Final = 400  # samples: 25 ms
HOP: Final = 160  # samples: 10 ms
FRAMES: Final = 160  # of a partial utterance: 1.6 s
STEP: Final = 77  # frames between partial utterances: 1.3 a second
LAYERS: Final = 3
LEVEL_DBFS: Final = -30.0
SIDE: Final = 2  # partial utterances, 2.4 s, on each side of a moment
MIN_COVERAGE: Final = 0.75  # of the last partial utterance


class SpeakerEncoder:
    """The network, loaded once."""

    def __init__(self) -> None:
        weights = read_weights(verified(SPEAKER_ENCODER))
        self._lstm = [
            (
                np.concatenate([weights[f"lstm.weight_ih_l{n}"], weights[f"lstm.weight_hh_l{n}"]], axis=1).T.copy(),
                weights[f"lstm.bias_ih_l{n}"] + weights[f"lstm.bias_hh_l{n}"],
            )
            for n in range(LAYERS)
        ]
        self._linear = weights["linear.weight"].T.copy(), weights["linear.bias"]

    def embed(self, samples: Samples) -> Embedding:
        """Return the unit vector (256) of speech at 16 kHz, without pauses."""
        return unit(self.partials(samples).mean(axis=0))

    def partials(self, samples: Samples) -> NDArray[np.float32]:
        """Return (partial utterances, 256): of each 1.6 s of the speech, every 0.77 s, a unit vector."""
        loud = samples * np.float32(10 ** (max(0.0, LEVEL_DBFS - rms_dbfs(samples)) / 20))
        mels = mel_spectrogram(loud)
        starts = list(range(0, max(1, len(mels) - FRAMES + STEP + 1), STEP))
        if len(starts) > 1 and (len(mels) - starts[-1]) / FRAMES < MIN_COVERAGE:
            starts.pop()
        padded = np.pad(mels, ((0, max(0, starts[-1] + FRAMES - len(mels))), (0, 0)))
        partials = np.stack([padded[start : start + FRAMES] for start in starts])
        return self._forward(partials)

    def _forward(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        # frames: (partials, 160, 40) -> (partials, 256), each of length 1
        sequence = frames.transpose(1, 0, 2)
        for weight, bias in self._lstm:
            size = weight.shape[1] // 4
            hidden = cell = np.zeros((sequence.shape[1], size), dtype=np.float32)
            outputs = []
            for step in sequence:
                gates = np.concatenate([step, hidden], axis=1) @ weight + bias
                entry, forget, update, output = np.split(gates, 4, axis=1)
                cell = _sigmoid(forget) * cell + _sigmoid(entry) * np.tanh(update)
                hidden = _sigmoid(output) * np.tanh(cell)
                outputs.append(hidden)
            sequence = np.stack(outputs)
        weight, bias = self._linear
        vectors = np.maximum(sequence[-1] @ weight + bias, 0.0)
        unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return unit


def unit(vector: NDArray[np.float32]) -> Embedding:
    """Return the vector with length 1."""
    scaled: Embedding = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


def agreement(partials: NDArray[np.float32]) -> float | None:
    """Return how like the voice before a moment is to that after it (cosine), at the moment where it is least so.

    Two people who speak one after the other agree less than one with himself. The partial utterance at the moment
    itself has both, and is left out. None: there are fewer than ``SIDE`` partial utterances on a side.
    """
    moments = range(SIDE, len(partials) - SIDE)
    found = [unit(partials[:at].mean(axis=0)) @ unit(partials[at + 1 :].mean(axis=0)) for at in moments]
    return float(min(found)) if found else None


def mel_spectrogram(samples: Samples) -> NDArray[np.float32]:
    """Return (frames, 40): mel power in Slaney's scale and normalisation, every 10 ms."""
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * signal.get_window("hann", WINDOW), axis=1)) ** 2
    mels: NDArray[np.float32] = (power @ _mel_filters().T).astype(np.float32)
    return mels


@cache
def _mel_filters() -> NDArray[np.float64]:
    """Return (40, 201): triangles between 0 and 8 kHz, linear below 1 kHz and logarithmic above, each of area 1."""
    points = _hertz(np.linspace(0.0, float(_mels(np.array([RATE / 2]))[0]), MELS + 2))
    bins = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)
    low, middle, high = points[:-2, None], points[1:-1, None], points[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    return filters


def _mels(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = hertz / (200.0 / 3)
    return np.where(hertz < 1000.0, linear, 15.0 + np.log(np.maximum(hertz, 1.0) / 1000.0) / (np.log(6.4) / 27.0))


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15.0, mels * (200.0 / 3), 1000.0 * np.exp((np.log(6.4) / 27.0) * (mels - 15.0)))


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result


class _Tensors(pickle.Unpickler):
    """Reads the dictionaries of a checkpoint of PyTorch before 1.6; a tensor becomes where it lies in its storage."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, *_: (storage, offset, shape)
        if (module, name) == ("torch", "FloatStorage"):
            return np.float32
        raise pickle.UnpicklingError(f"{module}.{name} is no part of the speaker encoder")

    def persistent_load(self, pid: Any) -> str:
        return str(pid[2])


def read_weights(path: Path) -> Weights:
    """Read the tensors of the encoder's checkpoint, whose content is known by its digest."""
    with path.open("rb") as file:
        for _ in range(3):  # a magic number, the format's version, the machine's byte order
            _Tensors(file).load()
        tensors = _Tensors(file).load()["model_state"]
        storages = {}
        for key in _Tensors(file).load():
            (count,) = np.fromfile(file, "<i8", 1)
            storages[key] = np.fromfile(file, "<f4", int(count))
    return {
        name: storages[storage][offset : offset + int(np.prod(shape))].reshape(shape)
        for name, (storage, offset, shape) in tensors.items()
    }


def similarities(embeddings: Sequence[Embedding], linkage: float) -> NDArray[np.float64]:
    """Return how near each clip's voice is to that of the largest group of clips (cosine).

    The median of all clips would be nobody's voice where two speakers have half each, so clips are first grouped by
    average linkage, down to a similarity of ``linkage`` between groups.
    """
    vectors = np.stack(embeddings).astype(np.float64)
    if len(vectors) < 2:
        return np.ones(len(vectors))
    tree = hierarchy.linkage(distance.pdist(vectors, "cosine"), "average")
    groups = hierarchy.fcluster(tree, 1.0 - linkage, "distance")
    largest = np.bincount(groups).argmax()
    members = vectors[groups == largest]
    centre = members.mean(axis=0)
    result: NDArray[np.float64] = vectors @ (centre / np.linalg.norm(centre))
    return result
