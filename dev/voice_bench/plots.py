"""Plots of the document, and spectrograms of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.measures import MAX_DURATION_RATIO, MIN_DURATION_RATIO
from dev.voice_bench.table import CONDITIONS

COLOURS = {
    "recording": "#8a8f98", "copy_synthesis": "#b0a46c", "token_forced": "#c2571a", "flite": "#6c8fb0",
    "base": "#7a4aa0", "zero_shot": "#b46cd6", "fine_tuned": "#2f6fde",
}  # fmt: skip
INK = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
WINDOW, OVERLAP = 400, 240  # samples: 25 ms, every 10 ms
MIN_LEVEL, MAX_LEVEL = -110.0, -35.0  # dB per Hz, of a recording whose peak is full scale


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Plot word error rates, the matrix of SECS, and durations; the file's ending determines the format."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(15, 4.8), layout="constrained")
        words, voices, durations = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
        _draw_errors(words, document)
        if document["speakers"]:
            _draw_secs(figure, voices, document["speakers"])
        _draw_durations(durations, document["speakers"])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def spectrogram(wav16: Wave, path: Path) -> None:
    """Plot the spectrogram of (samples) at 16 kHz as a PNG, 0 to 8 kHz."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(4.2, 1.5), layout="constrained")
        axes = figure.subplots()
        peak = max(float(np.abs(wav16).max(initial=0.0)), 1e-6)
        sound = np.pad(wav16 / peak, (0, max(0, WINDOW - len(wav16)))) + 1e-9  # against the logarithm of zero
        axes.specgram(sound, NFFT=WINDOW, noverlap=OVERLAP, Fs=RATE, cmap="magma", vmin=MIN_LEVEL, vmax=MAX_LEVEL)
        axes.set_yticks((0, 4000, 8000), ("0", "4", "8 kHz"))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)


def _draw_errors(axes: Any, document: Mapping[str, Any]) -> None:
    found = [condition for condition in CONDITIONS if document["wer"].get(condition) is not None]
    values = [100 * document["wer"][condition] for condition in found]
    bars = axes.bar(
        [condition.replace("_", "\n") for condition in found], values, color=[COLOURS[condition] for condition in found]
    )
    axes.bar_label(bars, fmt="%.0f", padding=2)
    axes.set_ylabel("word error rate, %")
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_title(f"Word error rate: speaker {document['shown_speaker'] or 'none'}, base as {document['base_voice']}")


def _draw_secs(figure: Any, axes: Any, voices: Mapping[str, Any]) -> None:
    speakers = list(next(iter(voices.values()))["secs_by_speaker"])
    matrix = np.array([[one["secs_by_speaker"][speaker] for speaker in speakers] for one in voices.values()])
    dark = matrix > (matrix.min() + matrix.max()) / 2
    image = axes.imshow(matrix, cmap="Blues", aspect="auto")
    for row, name in enumerate(voices):
        for column, speaker in enumerate(speakers):
            style = {"weight": "bold" if speaker == name else "normal", "color": "w" if dark[row, column] else "k"}
            axes.text(column, row, f"{matrix[row, column]:.2f}", ha="center", va="center", size=7, **style)
    axes.set_xticks(range(len(speakers)), speakers, rotation=45)
    axes.set_yticks(range(len(voices)), list(voices))
    axes.set_xlabel("recordings of")
    axes.set_ylabel("fine-tuned voice of")
    axes.set_title("SECS")
    figure.colorbar(image, ax=axes, shrink=0.8)


def _draw_durations(axes: Any, speakers: Mapping[str, Any]) -> None:
    spread = np.random.default_rng(0)
    for column, one in enumerate(speakers.values()):
        ratios = [sample["duration_ratio"] for sample in one["samples"]["fine_tuned"]]
        across = column + spread.uniform(-0.2, 0.2, len(ratios))
        axes.scatter(across, ratios, s=14, color=COLOURS["fine_tuned"], alpha=0.7)
    axes.axhspan(MIN_DURATION_RATIO, MAX_DURATION_RATIO, color="#2f7d4f", alpha=0.12)
    axes.set_xticks(range(len(speakers)), list(speakers), rotation=45)
    axes.set_ylabel("duration ratio")
    axes.set_ylim(bottom=0)
    axes.set_title("Durations of fine-tuned voices")
