"""Where a run computes: what is chosen, by which clock its time is counted, and how large its batches are."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from tiny_base import detail
from tiny_base.acoustics import BANDS, HOP, Acoustics, envelope_scale
from tiny_base.batches import Spoken
from tiny_base.codes import code_labels
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.encoder import train_encoder
from tiny_base.errors import PretrainError
from tiny_base.machine import CPU, Machine, machine_for
from tiny_base.parts import Parts
from tiny_base.prior import train_prior
from tiny_base.semantic import train_semantic
from tiny_base.sizes import PretrainConfig
from tiny_base.sound import Frames, train_bands, train_sound
from tiny_base.stage import Stage


def test_a_cpu_is_used_where_it_is_asked_for_or_nothing_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine_for("cpu") is CPU
    assert machine_for("auto") is CPU
    with pytest.raises(PretrainError, match="device=cuda, but torch finds no CUDA device here: use auto or cpu"):
        machine_for("cuda")


def test_a_stage_counts_the_time_of_its_machine(tmp_path: Path) -> None:
    ticks = itertools.count(0, 10)
    stage = Stage("part", tmp_path, nn.Linear(2, 2), 50.0, Machine(torch.device("cpu"), 1, lambda: float(next(ticks))))
    assert len(list(stage.steps([]))) == 5
    assert (stage.used, stage.progress) == (50.0, 1.0)


def spoken_by(speaker: str, rng: torch.Generator) -> Spoken:
    """Three seconds of vowels."""
    frames, phones = 160, ("AA1", "IY1") * 4
    segments = [(phone.rstrip("1"), 0.4 * (index + 1)) for index, phone in enumerate(phones)]
    acoustics = Acoustics(
        envelope_scale()[0] + torch.randn(frames, BANDS, generator=rng),
        torch.ones(frames) > 0,
        torch.full((frames,), 5.0),
    )
    wav = torch.randint(-999, 999, (frames * HOP,), generator=rng, dtype=torch.int16)
    text = "Ah, ee."
    utterance = Utterance(
        Clip("one", speaker, text, "", 3.2, segments),
        wav,
        wav[::2].clone(),
        acoustics,
        phones,
        torch.tensor([12, 40] * 4),
    )
    codes = code_labels(acoustics, segments, frames // 2)
    return Spoken(utterance, codes, codes)


@pytest.mark.parametrize("name", ["encoder", "prior", "detail", "bands", "sound", "semantic"])
def test_each_stage_leaves_nothing_behind_on_the_cpu(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tensors of the device "meta" have shapes and no values, and cannot be mixed with others: a GPU for everybody.
    torch.manual_seed(1)
    monkeypatch.setattr(Stage, "save", lambda _: None)
    monkeypatch.setattr(Stage, "log", lambda _, **__: None)
    monkeypatch.setattr(detail, "JUDGED_ALONE", 0)
    rng = torch.Generator().manual_seed(1)
    rows = [spoken_by(speaker, rng) for speaker in ("flite-rms", "ljspeech") for _ in range(6)]
    parts = Parts(PretrainConfig())
    parts.to(torch.device("meta"))
    latents = Frames(
        [row.utterance.acoustics.latents() for row in rows], [row.utterance.acoustics.latents() for row in rows]
    )
    ticks = itertools.count()
    stage = Stage(name, tmp_path, parts.of(name), 3.0, Machine(torch.device("meta"), 2, lambda: float(next(ticks))))
    s2 = parts.s2
    train = {
        "encoder": lambda: train_encoder(stage, parts.encoder, [row.utterance for row in rows[:6]], 1),
        "prior": lambda: train_prior(stage, s2, rows, 1),
        "detail": lambda: detail.train_detail(stage, s2, rows, 1),
        "bands": lambda: train_bands(stage, s2, parts.readout, latents, 1),
        "sound": lambda: train_sound(stage, s2, parts.judges, latents, 1),
        "semantic": lambda: train_semantic(stage, parts.s1, rows, 1),
    }[name]
    train()
    assert stage.step == 3
