"""Training makes a base that opens, from synthetic speech, and continues after a kill."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from sovits_core.bundle.base import open_base
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Synthesizer
from tiny_base import run
from tiny_base.config import HubertSizes, TinyBaseConfig
from tiny_base.errors import TinyBaseError
from tiny_base.run import train_base

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


def test_a_stage_that_needs_another_says_which(
    smallest: TinyBaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_corpus", lambda *_: (tmp_path, []))
    monkeypatch.setattr(run, "load_utterances", lambda *_: [])
    with pytest.raises(TinyBaseError, match="'prior' needs 'encoder' to be complete"):
        train_base(tmp_path / "base", smallest, 1.0, None, tmp_path / "work", only=["prior"])
    with pytest.raises(TinyBaseError, match="unknown: choose from encoder, prior"):
        train_base(tmp_path / "base", smallest, 1.0, None, tmp_path / "work", only=["nonsense"])


@needs_flite
@pytest.mark.slow
def test_a_whole_run_makes_a_base_whose_graphs_and_weights_agree(
    smallest: TinyBaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scores = train_base(tmp_path / "base", smallest, minutes=0.1, recordings=None)
    assert 1.0 <= scores["pesq"] <= 4.7
    base = open_base(str(tmp_path / "base"))
    s2 = Synthesizer(base.document.s2).eval()
    load_weights(s2, base.path("s2g.safetensors"))
    inputs = {
        "codes": torch.arange(10)[None],
        "text": torch.tensor([[12, 64, 30]]),
        "ge": torch.randn(1, 16, 1),
        "noise": 0.5 * torch.randn(1, 64, 20),
    }
    session = onnxruntime.InferenceSession(base.path("onnx/s2_decode.onnx"))
    feeds = {name: tensor.numpy() for name, tensor in inputs.items()}
    for node in session.get_inputs():
        if node.name not in feeds:
            feeds[node.name] = np.zeros([size if isinstance(size, int) else 1 for size in node.shape], dtype=np.float32)
    made = session.run(["wav"], feeds)[0]
    with torch.no_grad():
        expected = s2.decode(*inputs.values())[:, 0].numpy()
    assert made.shape == (1, 20 * 640)
    np.testing.assert_allclose(made, expected, atol=1e-4)

    train_base(tmp_path / "next", smallest, minutes=1e-6, recordings=None, start=base)
    continued = open_base(str(tmp_path / "next"))
    assert continued.document.training["startedFrom"] == f"smallest {base.digest}, of 0.1 minutes"
    for file in ("s1", "s2g", "s2d", "hubert/model"):
        before, after = (load_file(opened.path(f"{file}.safetensors")) for opened in (base, continued))
        for name, tensor in before.items():
            if name.startswith(tuple(f"waveform_generator.stages.{late}" for late in (2, 3, 4))):
                continue  # initialised again from the recovered readout
            # one step of each stage, at the lowest learning rate
            torch.testing.assert_close(after[name].float(), tensor.float(), atol=2e-3, rtol=2e-2, msg=f"{file} {name}")
    other = smallest.model_copy(update={"hubert": HubertSizes(hidden=96)})
    with pytest.raises(TinyBaseError, match=r"cannot be continued: its hubert.hidden is 88, this run's is 96"):
        train_base(tmp_path / "other", other, minutes=1e-6, recordings=None, start=base)
