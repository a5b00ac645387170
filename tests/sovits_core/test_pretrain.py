"""Pretraining makes a base that opens, from speech it makes itself, and goes on after a kill."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from torch import nn

from sovits_core.bundles import open_base
from sovits_core.checkpoints import load_weights
from sovits_core.errors import PretrainError
from sovits_core.model_config import DiscriminatorConfig, SynthesizerConfig, TextToSemanticConfig
from sovits_core.models import Synthesizer
from sovits_core.pretrain import corpus
from sovits_core.pretrain.encoder import CLASSES, align
from sovits_core.pretrain.run import pretrain
from sovits_core.pretrain.sentences import compose
from sovits_core.pretrain.sizes import HubertSizes, PretrainConfig
from sovits_core.pretrain.stage import Stage
from sovits_core.text import phonemize

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")

SMALLEST = PretrainConfig(
    name="smallest",
    sentences=24,
    hubert=HubertSizes(hidden=80, layers=1, heads=2, feed_forward=32, convolution=16),
    s1=TextToSemanticConfig(vocabulary=33, bert_dim=4, hidden=32, heads=2, layers=1, feed_forward=32),
    s2=SynthesizerConfig(
        codes=32, ssl_dim=80, latent=16, hidden=16, filter=16, ssl_layers=1, text_layers=1, mixed_layers=1,
        cross_hidden=16, cross_heads=2, timbre=16, reference_hidden=16, posterior_layers=1, flows=1, flow_layers=1,
        wavenet_kernel=3, upsample_rates=(10, 8, 8), upsample_kernels=(20, 16, 16), upsample_channels=16,
        block_kernels=(3,), block_dilations=((1,),), segment_frames=8,
    ),
    s2d=DiscriminatorConfig(periods=(2,), scale_channels=(4, 4, 4, 4, 4, 4), period_channels=(4, 4, 4, 4, 4)),
)  # fmt: skip


def test_sentences_are_different_repeatable_and_readable() -> None:
    sentences = compose(300, seed=5)
    assert len(set(sentences)) == 300
    assert sentences == compose(300, seed=5) != compose(300, seed=6)
    phones = {phone.rstrip("012") for text in sentences for phone in phonemize(text, "en").phones}
    assert set(CLASSES) - {"SIL"} <= phones


def test_alignment_puts_each_phone_where_it_is_heard_and_silence_only_where_there_is_some() -> None:
    heard = ["SIL", "K", "K", "AE", "AE", "AE", "T", "SIL", "SIL", "S", "S"]
    scores = torch.full((len(heard), len(CLASSES)), -5.0)
    for frame, name in enumerate(heard):
        scores[frame, CLASSES.index(name)] = 0
    found = align(scores, ("K", "AE1", "T", ",", "S"))
    assert [CLASSES[index] for index in found.tolist()] == heard


def test_a_stage_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    first = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    stage = Stage("part", tmp_path, first, seconds=60.0)
    for step in stage.steps([optimizer]):
        if step == 4:
            stage.save()
            break
    again = nn.Linear(2, 2)
    resumed = Stage("part", tmp_path, again, seconds=60.0)
    assert torch.equal(again.weight, first.weight)
    assert (resumed.step, resumed.used) == (stage.step, stage.used)


def test_a_missing_synthesiser_is_named_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PretrainError, match="apt-get install flite"):
        corpus.require_flite()


@needs_flite
def test_the_readers_kept_for_evaluation_never_enter_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for reader in ("1688", "2033", "2609"):
        wavs = tmp_path / "librispeech" / reader / "wavs"
        wavs.mkdir(parents=True)
        soundfile.write(wavs / f"{reader}-1.flac", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
        (wavs.parent / "metadata.csv").write_text(f"{reader}-1|hello there\n")
    _, clips = corpus.build_corpus(2, 1, tmp_path)
    assert [clip.speaker for clip in clips if clip.speaker.startswith("librispeech")] == ["librispeech-1688"]


@needs_flite
def test_synthetic_speech_comes_with_the_times_of_its_phones() -> None:
    wav, segments = corpus.speak("Hello world.", corpus.Variation("slt", pitch=1.2, stretch=1.0, size=0.9))
    names = [name for name, _ in segments if name != "SIL"]
    assert names == ["HH", "AH", "L", "OW", "W", "ER", "L", "D"]
    ends = [end for _, end in segments]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(wav) / corpus.SAMPLE_RATE, abs=0.1)


@needs_flite
@pytest.mark.slow
def test_a_whole_run_makes_a_base_whose_graphs_and_weights_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scores = pretrain(tmp_path / "base", SMALLEST, minutes=0.1, recordings=None)
    assert 1.0 <= scores["pesq"] <= 4.7
    base = open_base(str(tmp_path / "base"))
    s2 = Synthesizer(base.document.s2).eval()
    load_weights(s2, base.path("s2g.safetensors"))
    inputs = {
        "codes": torch.arange(10)[None],
        "text": torch.tensor([[12, 64, 30]]),
        "ge": torch.randn(1, 16, 1),
        "noise": 0.5 * torch.randn(1, 16, 20),
    }
    session = onnxruntime.InferenceSession(base.path("onnx/s2_decode.onnx"))
    feeds = {name: tensor.numpy() for name, tensor in inputs.items()}
    for node in session.get_inputs():
        if node.name not in feeds:
            feeds[node.name] = np.zeros([size if isinstance(size, int) else 1 for size in node.shape], dtype=np.float32)
    made = session.run(["wav"], feeds)[0]
    with torch.no_grad():
        expected = s2.decode(**inputs)[:, 0].numpy()
    assert made.shape == (1, 20 * 640)
    np.testing.assert_allclose(made, expected, atol=1e-4)
