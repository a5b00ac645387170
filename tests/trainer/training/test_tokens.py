"""Codes of clips: those that say their words where a base's codes stand for phones, and as heard everywhere else."""

from itertools import groupby
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sovits_core.bundle.base import EMBEDDED, PhoneCodes
from sovits_core.features.recording import training_features
from sovits_core.text import phonemize
from sovits_core.text.spoken import spoken_phones
from voice_trainer.job.base import JobBase
from voice_trainer.recordings.audio import TRAINING_RATE, decode, resample
from voice_trainer.training.networks import load_encoders, load_networks
from voice_trainer.training.tokens import CodeReader


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> JobBase:
    return JobBase(f"{EMBEDDED}tiny", "", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def clip(spoken_dataset: Path) -> tuple[Tensor, str]:
    name, text = (spoken_dataset / "metadata.csv").read_text().splitlines()[0].split("|")
    samples, rate = decode(spoken_dataset / "wavs" / f"{name}.wav")
    return torch.from_numpy(resample(samples, rate, TRAINING_RATE)), text


def reader(base: JobBase, phone_codes: PhoneCodes) -> CodeReader:
    cpu = torch.device("cpu")
    return CodeReader(load_networks(base, cpu).s2, load_encoders(base, "en", cpu).hubert, "en", phone_codes)


def test_the_tiny_base_reads_a_clip_as_its_words(base: JobBase, clip: tuple[Tensor, str]) -> None:
    wav, text = clip
    phones = phonemize(text, "en").phones
    phone_of = {code: name for name, parts in base.document.phone_codes.items() for part in parts for code in part}
    for read in (
        reader(base, base.document.phone_codes).read_clip,
        reader(base, base.document.phone_codes).read_prompt,
    ):
        found = read(wav, text, phones)
        said = [phone_of[code] for code in found.values.tolist()]
        runs = [name for name, _ in groupby(said) if name != "SIL"]
        assert found.aligned
        assert runs == [name for name, _ in groupby(spoken_phones(phones))]
    assert "SIL" not in (said[0], said[-1])  # of the prompt


def test_codes_are_as_heard_where_they_stand_for_nothing_or_the_words_do_not_fit(
    base: JobBase, clip: tuple[Tensor, str]
) -> None:
    wav, text = clip
    phones = phonemize(text, "en").phones
    plain = reader(base, {})
    with torch.no_grad():
        heard = plain.s2.quantize(training_features(plain.hubert, wav, TRAINING_RATE))[0]
    for found in (
        plain.read_clip(wav, text, phones),
        reader(base, base.document.phone_codes).read_clip(wav, " ".join([text] * 9), phones * 9),
    ):
        assert not found.aligned
        assert torch.equal(found.values, heard)
