"""The device of a run, its clock and its batch size."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from tiny_base import adversarial_refinement
from tiny_base.acoustics import BANDS, HOP, Acoustics, envelope_scale
from tiny_base.batches import TokenizedUtterance
from tiny_base.config import TinyBaseConfig
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.encoder import train_encoder
from tiny_base.errors import DeviceUnavailable
from tiny_base.machine import CPU, Machine, machine_for
from tiny_base.networks import STAGES, TrainedNetworks
from tiny_base.prior import train_prior
from tiny_base.semantic import train_semantic
from tiny_base.stage import Stage
from tiny_base.tokens import token_labels
from tiny_base.waveform import LatentSets, train_subband_regression, train_waveform_adversarial


def test_a_cpu_is_used_where_it_is_asked_for_or_nothing_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine_for("cpu") is CPU
    assert machine_for("auto") is CPU
    with pytest.raises(DeviceUnavailable, match="device=cuda, but torch finds no CUDA device here: use auto or cpu"):
        machine_for("cuda")


def test_a_stage_counts_the_time_of_its_machine(tmp_path: Path) -> None:
    ticks = itertools.count(0, 10)
    stage = Stage("part", tmp_path, nn.Linear(2, 2), 50.0, Machine(torch.device("cpu"), 1, lambda: float(next(ticks))))
    assert len(list(stage.steps([]))) == 5
    assert (stage.used, stage.progress) == (50.0, 1.0)


def spoken_by(speaker: str, rng: torch.Generator) -> TokenizedUtterance:
    """Three seconds of vowels."""
    frames, phones = 160, ("AA1", "IY1") * 4
    phone_times = [(phone.rstrip("1"), 0.4 * (index + 1)) for index, phone in enumerate(phones)]
    acoustics = Acoustics(
        envelope_scale()[0] + torch.randn(frames, BANDS, generator=rng),
        torch.ones(frames) > 0,
        torch.full((frames,), 5.0),
    )
    wav = torch.randint(-999, 999, (frames * HOP,), generator=rng, dtype=torch.int16)
    text = "Ah, ee."
    utterance = Utterance(
        Clip("one", speaker, text, "", 3.2, phone_times),
        wav,
        wav[::2].clone(),
        acoustics,
        phones,
        torch.tensor([12, 40] * 4),
    )
    tokens = token_labels(acoustics, phone_times, frames // 2)
    return TokenizedUtterance(utterance, tokens, tokens)


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_puts_all_its_tensors_on_the_device(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tensors of the device "meta" have shapes and no values, and cannot be mixed with others: a substitute for a GPU.
    torch.manual_seed(1)
    monkeypatch.setattr(Stage, "save", lambda _: None)
    monkeypatch.setattr(Stage, "log", lambda _, **__: None)
    monkeypatch.setattr(adversarial_refinement, "DISCRIMINATOR_WARMUP_STEPS", 0)
    rng = torch.Generator().manual_seed(1)
    rows = [spoken_by(speaker, rng) for speaker in ("flite-rms", "ljspeech") for _ in range(6)]
    networks = TrainedNetworks(TinyBaseConfig())
    networks.to(torch.device("meta"))
    latents = LatentSets(
        [row.utterance.acoustics.latents() for row in rows], [row.utterance.acoustics.latents() for row in rows]
    )
    ticks = itertools.count()
    stage = Stage(name, tmp_path, networks.of(name), 3.0, Machine(torch.device("meta"), 2, lambda: float(next(ticks))))
    s2 = networks.s2
    train = {
        "encoder": lambda: train_encoder(stage, networks.encoder, [row.utterance for row in rows[:6]], 1),
        "prior": lambda: train_prior(stage, s2, rows, 1),
        "adversarial_refinement": lambda: adversarial_refinement.train_adversarial_refinement(stage, s2, rows, 1),
        "subband_regression": lambda: train_subband_regression(stage, s2, networks.readout, latents, 1),
        "waveform_adversarial": lambda: train_waveform_adversarial(stage, s2, networks.discriminator, latents, 1),
        "semantic": lambda: train_semantic(stage, networks.s1, rows, 1),
    }[name]
    train()
    assert stage.step == 3
