"""The prepared clips: the list that stage prepare writes for later stages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from voice_trainer.job.document import Document
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.decoding import Samples

CLIPS_FILE = "clips.json"
HELD_OUT_FRACTION = 0.1
MIN_HELD_OUT = 3
SCORABLE_SECONDS = 1.0  # of speech; STOI and PESQ need some to be defined


class Clip(Document):
    """One recording after preparation; times in seconds, levels in dB."""

    id: str
    text: str
    phones: tuple[str, ...]
    seconds: float
    speech_seconds: float
    snr_db: float
    rms_dbfs: float
    true_peak_dbtp: float | None = None
    """None: prepared before it was measured."""
    limited_db: float | None = None
    """The most that the limiter took away."""
    denoised: bool = False
    """Whether noise was removed; the recording with it is then below ``original/``."""
    transcribed: bool = False
    """Whether the text is a recogniser's."""
    held_out: bool


CLIP_LIST = TypeAdapter(tuple[Clip, ...])


def write_clips(folder: Path, clips: Sequence[Clip]) -> None:
    """Write ``clips.json``."""
    (folder / CLIPS_FILE).write_bytes(CLIP_LIST.dump_json(tuple(clips), by_alias=True, indent=1))


def read_clips(folder: Path) -> tuple[Clip, ...]:
    """Read the ``clips.json`` of a finished prepare stage."""
    return CLIP_LIST.validate_json((folder / CLIPS_FILE).read_bytes())


def training_copy(folder: Path, clip_id: str) -> Path:
    """Return the path of the clip at the base's sample rate."""
    return folder / "clips" / f"{clip_id}.flac"


def original_copy(folder: Path, clip_id: str) -> Path:
    """Return the path of the recording as it was, of a clip that is used without its noise."""
    return folder / "original" / f"{clip_id}.flac"


def denoised_copy(folder: Path, clip_id: str) -> Path:
    """Return the path of the copy without noise, of a clip that is used as it was recorded."""
    return folder / "denoised" / f"{clip_id}.flac"


def rejected_copy(folder: Path, clip_id: str) -> Path:
    """Return the path of a clip that is left out, for people to hear why."""
    return folder / "rejected" / f"{clip_id}.flac"


def analysis_copy(folder: Path, clip_id: str) -> Path:
    """Return the path of the clip at 16 kHz."""
    return folder / "analysis" / f"{clip_id}.flac"


def analysis_samples(folder: Path, clip: Clip) -> Samples:
    """Return the clip at 16 kHz."""
    return read_flac(analysis_copy(folder, clip.id))


def held_out_ids(clips: Sequence[tuple[str, float]], seed: int) -> frozenset[str]:
    """Choose a tenth of the clips, at least three, for evaluation; the same ones for the same ids and seed.

    Args:
        clips: id and seconds of speech of each; clips too short to be scored are taken only where there is no choice.
        seed: of the job.
    """
    count = max(MIN_HELD_OUT, round(HELD_OUT_FRACTION * len(clips)))
    shuffled = sorted(clips)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 -- a repeatable choice, not a secret
    shuffled.sort(key=lambda clip: clip[1] < SCORABLE_SECONDS)  # stable: the scorable first, in shuffled order
    return frozenset(name for name, _ in shuffled[:count])
