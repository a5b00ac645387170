"""The document as one picture, and recordings as spectrograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from dev.voice_bench.measures import LONGEST, SHORTEST
from dev.voice_bench.table import KINDS
from dev.voice_bench.waves import RATE, Wave

COLOURS = {
    "recording": "#8a8f98", "copy_synthesis": "#b0a46c", "token_forced": "#c2571a", "flite": "#6c8fb0",
    "base": "#7a4aa0", "without_adapter": "#b46cd6", "lora": "#2f6fde",
}  # fmt: skip
INK = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
WINDOW, OVERLAP = 400, 240  # samples: 25 ms, every 10 ms
QUIETEST, LOUDEST = -110.0, -35.0  # dB per Hz, of a recording whose peak is full scale


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Draw word errors, the matrix of similarities, and durations side by side; the file's ending says the format."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(15, 4.8), layout="constrained")
        words, voices, durations = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
        _draw_errors(words, document)
        if document["readers"]:
            _draw_similarities(figure, voices, document["readers"])
        _draw_durations(durations, document["readers"])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def spectrogram(wav16: Wave, path: Path) -> None:
    """Draw (samples) at 16 kHz as a PNG: time to the right, 0 to 8 kHz upwards."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(4.2, 1.5), layout="constrained")
        axes = figure.subplots()
        peak = max(float(np.abs(wav16).max(initial=0.0)), 1e-6)
        sound = np.pad(wav16 / peak, (0, max(0, WINDOW - len(wav16)))) + 1e-9  # no logarithm of silence
        axes.specgram(sound, NFFT=WINDOW, noverlap=OVERLAP, Fs=RATE, cmap="magma", vmin=QUIETEST, vmax=LOUDEST)
        axes.set_yticks((0, 4000, 8000), ("0", "4", "8 kHz"))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)


def _draw_errors(axes: Any, document: Mapping[str, Any]) -> None:
    found = [kind for kind in KINDS if document["wer"].get(kind) is not None]
    values = [100 * document["wer"][kind] for kind in found]
    bars = axes.bar([kind.replace("_", "\n") for kind in found], values, color=[COLOURS[kind] for kind in found])
    axes.bar_label(bars, fmt="%.0f", padding=2)
    axes.set_ylabel("word error, %")
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_title(f"Words: reader {document['shown_reader'] or 'none'}, base as {document['base_voice']}")


def _draw_similarities(figure: Any, axes: Any, readers: Mapping[str, Any]) -> None:
    speakers = list(next(iter(readers.values()))["similarities"])
    matrix = np.array([[one["similarities"][speaker] for speaker in speakers] for one in readers.values()])
    dark = matrix > (matrix.min() + matrix.max()) / 2
    image = axes.imshow(matrix, cmap="Blues", aspect="auto")
    for row, name in enumerate(readers):
        for column, speaker in enumerate(speakers):
            style = {"weight": "bold" if speaker == name else "normal", "color": "w" if dark[row, column] else "k"}
            axes.text(column, row, f"{matrix[row, column]:.2f}", ha="center", va="center", size=7, **style)
    axes.set_xticks(range(len(speakers)), speakers, rotation=45)
    axes.set_yticks(range(len(readers)), list(readers))
    axes.set_xlabel("recordings of")
    axes.set_ylabel("LoRA voice of")
    axes.set_title("Similarity of speakers")
    figure.colorbar(image, ax=axes, shrink=0.8)


def _draw_durations(axes: Any, readers: Mapping[str, Any]) -> None:
    spread = np.random.default_rng(0)
    for place, one in enumerate(readers.values()):
        ratios = [sample["duration_ratio"] for sample in one["samples"]["lora"]]
        across = place + spread.uniform(-0.2, 0.2, len(ratios))
        axes.scatter(across, ratios, s=14, color=COLOURS["lora"], alpha=0.7)
    axes.axhspan(SHORTEST, LONGEST, color="#2f7d4f", alpha=0.12)
    axes.set_xticks(range(len(readers)), list(readers), rotation=45)
    axes.set_ylabel("seconds, of the expected ones")
    axes.set_ylim(bottom=0)
    axes.set_title("Durations of LoRA voices")
