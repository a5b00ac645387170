"""Judges of frames hear what is said, and teach the prior alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tiny_base import detail
from tiny_base.acoustics import BANDS, HOP, LATENT, Acoustics, envelope_scale
from tiny_base.batches import Spoken
from tiny_base.codes import CODES
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.detail import LAYERS, FrameJudge, detail_kept, train_detail
from tiny_base.disguises import COLOURS, Disguise
from tiny_base.parts import Parts
from tiny_base.prior import Predicted
from tiny_base.sizes import PretrainConfig
from tiny_base.stage import REPORT_STEPS, Stage


def test_a_judge_hears_frames_in_the_light_of_what_is_said_and_nothing_after_the_end() -> None:
    torch.manual_seed(0)
    judge = FrameJudge(len(CODES), timbre=16)
    codes, timbre, frames = torch.arange(12)[None], torch.randn(1, 16, 1), torch.randn(1, LATENT, 24)
    mask = (torch.arange(24) < 16).float()[None, None]
    nobody = Disguise(torch.zeros(1, 1), torch.zeros(1, COLOURS))
    said = Predicted([], codes, timbre, frames, frames, frames, mask, nobody, spread=torch.zeros(()))
    with torch.no_grad():
        score, features = judge(frames, said)
        padded, _ = judge(frames + 5 * (1 - mask), said)
        other_words, _ = judge(frames, replace(said, codes=codes + 1))
        other_speaker, _ = judge(frames, replace(said, timbre=-timbre))
    assert len(features) == len(LAYERS)
    assert torch.equal(score, padded)
    assert not torch.allclose(score, other_words)
    assert not torch.allclose(score, other_speaker)


def test_the_detail_kept_is_how_far_speech_moves() -> None:
    speech = torch.randn(1, LATENT, 200) + 1
    soft = functional.avg_pool1d(speech, 5, 1, 2, count_include_pad=False)
    assert float(detail_kept(speech, speech)) == 1
    assert 0.4 < float(detail_kept(torch.lerp(soft, speech, 0.5), speech)) < 0.6


def test_judges_teach_the_prior_and_leave_the_posterior_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "JUDGED_ALONE", 3)
    parts = Parts(PretrainConfig())
    clip = Clip("one", "flite-rms", "", "", 1.0, [("AA", 1.0)])
    acoustics = Acoustics(envelope_scale()[0] + torch.randn(50, BANDS), torch.ones(50) > 0, torch.full((50,), 5.0))
    wav = torch.zeros(50 * HOP, dtype=torch.int16)
    utterance = Utterance(clip, wav, wav[::2], acoustics, ("AA1",), torch.tensor([12]))
    spoken = [Spoken(utterance, torch.arange(25), torch.arange(25))] * 8
    before = {name: value.clone() for name, value in parts.s2.state_dict().items()}
    stage = Stage("detail", tmp_path, parts.of("detail"), 60.0)
    monkeypatch.setattr(Stage, "progress", property(lambda self: self.step / REPORT_STEPS))
    train_detail(stage, parts.s2, spoken, seed=3)
    changed = {
        name.split(".")[0] for name, value in parts.s2.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"content_encoder", "timbre_encoder"}
    rows = [row.split(",") for row in (tmp_path / "curves.csv").read_text().splitlines()[1:]]
    assert {row[3] for row in rows} == {"judged", "error", "spread", "detail"}
    assert all(np.isfinite(float(row[4])) for row in rows)
