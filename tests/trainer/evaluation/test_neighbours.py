"""Other published voices: the nearest is the one of the same speaker, by the real speaker encoder."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from voice_trainer.evaluation.neighbours import embeddings_of, nearest
from voice_trainer.evaluation.sentence_scores import open_meter
from voice_trainer.job.document import Neighbour, TrainingJob
from voice_trainer.recordings.audio import ANALYSIS_RATE, resample, write_flac
from voice_trainer.recordings.decoding import Samples

pytestmark = pytest.mark.slow


def spoken(speaker: str, text: str, folder: Path) -> Samples:
    path = folder / f"{speaker}.wav"
    subprocess.run(["flite", "-voice", speaker, "-t", text, "-o", str(path)], check=True, capture_output=True)
    samples, rate = soundfile.read(path, dtype="float32")
    return resample(samples, rate, ANALYSIS_RATE)


def published(speaker: str, folder: Path) -> Neighbour:
    bundle = folder / speaker
    write_flac(bundle / "reference.flac", spoken(speaker, "She had your dark suit in greasy water.", folder), 16000)
    data = (bundle / "reference.flac").read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": "r", "files": {"reference.flac": entry}}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    return Neighbour(voice=f"local/{speaker}", uri=bundle.as_uri(), digest=f"sha256:{digest}")


def test_the_nearest_voice_is_the_one_of_the_same_speaker(tmp_path: Path, session_job: dict[str, Any]) -> None:
    others = [published(speaker, tmp_path) for speaker in ("rms", "slt", "awb")]
    gone = Neighbour(voice="local/gone", uri=(tmp_path / "gone").as_uri(), digest="sha256:" + "0" * 64)
    with open_meter(TrainingJob.model_validate(session_job), tmp_path / "scratch", None) as meter:
        found = embeddings_of([*others, gone], meter, tmp_path / "scratch")
        (own,) = meter.measure_all([spoken("slt", "The birch canoe slid on the smooth planks.", tmp_path)])
    assert found.keys() == {"local/rms", "local/slt", "local/awb"}, "one that is gone hinders nothing"
    assert own.embedding is not None
    assert nearest([own.embedding], found) == "local/slt"
    assert nearest([own.embedding], {name: one for name, one in found.items() if name != "local/slt"}) != "local/slt"
    assert nearest([own.embedding], {}) == nearest([], found) == ""
