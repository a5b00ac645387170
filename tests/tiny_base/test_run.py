"""Training makes a base that opens, from synthetic speech, and continues after a kill."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from sovits_core.bundle.base import open_base
from sovits_core.bundle.model_config import DiscriminatorConfig, SynthesizerConfig, TextToSemanticConfig
from sovits_core.features.recording import resample
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Synthesizer
from sovits_core.models.normed import fold_weight_norm
from sovits_core.models.waveform import WaveformGenerator
from sovits_core.text import phonemize
from tiny_base import corpus, run, subbands
from tiny_base.acoustic_augmentation import augment
from tiny_base.acoustics import (
    HOP,
    LATENT,
    NOISE_CHANNELS,
    SAMPLE_RATE,
    Acoustics,
    analyse,
    band_centres,
)
from tiny_base.batches import TokenizedUtterance
from tiny_base.config import HubertSizes, TinyBaseConfig
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.encoder import forced_alignment
from tiny_base.errors import TinyBaseError
from tiny_base.phones import CLASSES
from tiny_base.pulse_vocoder import vocode
from tiny_base.run import train_base
from tiny_base.segments import CROP_TOKENS, random_crop, split_at_pauses
from tiny_base.sentences import compose
from tiny_base.stage import REPORT_STEPS, Stage
from tiny_base.subbands import (
    RATES,
    SUBBANDS,
    initialise,
    inverse_mdct,
    predict_subbands,
    read_inverse_mdct,
    write_inverse_mdct,
)
from tiny_base.tokens import (
    LOGITS,
    SUBPHONE_STATES,
    TOKENS,
    read_projection,
    token_labels,
    token_vectors,
    write_codebook,
    write_projection,
)
from tiny_base.waveform import ENHANCED_BANDS, ENHANCEMENT, enhance, mean_speech_envelope

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")

SMALLEST = TinyBaseConfig(
    name="smallest",
    sentences=24,
    text_corpus_sentences=12,
    hubert=HubertSizes(hidden=88, layers=1, heads=2, feed_forward=32, convolution=16),
    s1=TextToSemanticConfig(vocabulary=len(TOKENS) + 1, bert_dim=4, hidden=32, heads=2, layers=3, feed_forward=32),
    s2=SynthesizerConfig(
        codebook_size=len(TOKENS), ssl_dim=88, latent=64, hidden=16, filter=16, ssl_layers=1, text_layers=1,
        mixed_layers=1, cross_hidden=16, cross_heads=2, speaker_embedding=16, reference_hidden=16, posterior_layers=1,
        flows=1, flow_layers=1, wavenet_kernel=3, upsample_rates=RATES, upsample_kernels=(1, 7, 16, 8, 8),
        upsample_channels=256, block_kernels=(3,), block_dilations=((1,),), segment_frames=8,
    ),
    s2d=DiscriminatorConfig(periods=(2,), scale_channels=(4, 4, 4, 4, 4, 4), period_channels=(4, 4, 4, 4, 4)),
)  # fmt: skip


def test_sentences_are_different_repeatable_and_readable() -> None:
    sentences = compose(300, seed=5)
    assert len(set(sentences)) == 300
    assert sentences == compose(300, seed=5) != compose(300, seed=6)
    phones = {phone.rstrip("012") for text in sentences for phone in phonemize(text, "en").phones}
    assert set(CLASSES) - {"SIL"} <= phones


def test_forced_alignment_follows_the_scores_and_skips_absent_pauses() -> None:
    frames = ["SIL", "K", "K", "AE", "AE", "AE", "T", "SIL", "SIL", "S", "S"]
    scores = torch.full((len(frames), len(CLASSES)), -5.0)
    for frame, name in enumerate(frames):
        scores[frame, CLASSES.index(name)] = 0
    phones = ("K", "AE1", "T", ",", "S")
    found = forced_alignment(scores, phones, [True] * 4)
    assert found == [("SIL", 1), ("K", 3), ("AE", 6), ("T", 7), ("SIL", 9), ("S", 11)]
    assert "SIL" not in dict(forced_alignment(scores, phones, [True, True, False, True])[1:])


def long_utterance() -> TokenizedUtterance:
    """A sentence with a pause, whose samples are the numbers of its frames."""
    text = "He said no, and she did too."
    phones = phonemize(text, "en").phones
    names = [phone.rstrip("012") for phone in phones if phone[0].isalpha()]
    ends = [0.3 * (index + 1) + (1.0 if index > 6 else 0) for index in range(len(names))]  # "no" is followed by a pause
    phone_times = list(zip(names, ends, strict=True))
    phone_times.insert(7, ("SIL", ends[6] + 1.0))
    frames = round(ends[-1] / 0.02) // 2 * 2
    acoustics = Acoustics(
        torch.arange(frames)[:, None] * torch.ones(58), torch.ones(frames) > 0, torch.full((frames,), 5.0)
    )
    wav = torch.arange(frames * HOP, dtype=torch.int32)
    whole = Utterance(
        Clip("one", "speaker", text, "", ends[-1], phone_times),
        wav,
        wav[::2],
        acoustics,
        phones,
        torch.arange(len(phones)),
    )
    tokens = token_labels(acoustics, phone_times, frames // 2)
    return TokenizedUtterance(whole, tokens, tokens)


def test_a_long_recording_is_split_at_its_pauses_into_segments_with_their_phones() -> None:
    whole = long_utterance()
    segments = split_at_pauses(whole)
    assert [" ".join(segment.utterance.phones) for segment in segments] == [
        "HH IY1 S EH1 D N OW1 ,",
        "AH0 N D SH IY1 D IH1 D T UW1 .",
    ]
    assert torch.cat([segment.aligned_tokens for segment in segments]).tolist() == whole.aligned_tokens.tolist()
    for segment in segments:
        assert segment.phone_index.max() < len(segment.utterance.phones)
        # audio and labels of each token are those of the whole
        assert segment.utterance.wav[0] == segment.utterance.acoustics.envelope[0, 0] * HOP
        relabelled = token_labels(
            segment.utterance.acoustics, segment.utterance.clip.phone_times, len(segment.aligned_tokens)
        )
        assert (relabelled == segment.aligned_tokens).float().mean() > 0.95


def test_a_crop_is_a_run_of_phones_with_their_audio() -> None:
    whole, rng = long_utterance(), random.Random(4)  # noqa: S311 -- repeatable, not secret
    phones, tokens = list(whole.utterance.phones), whole.aligned_tokens.tolist()
    drawn = [random_crop(whole, rng) for _ in range(40)]
    found = [row for row in drawn if row is not whole]  # where only the pause is drawn, the whole is used
    assert len(found) > 30
    for row in found:
        # a phone and a pause are up to 12 tokens here
        assert CROP_TOKENS[0] - 12 <= len(row.aligned_tokens) <= CROP_TOKENS[1]
        first = int(row.utterance.acoustics.envelope[0, 0]) // 2
        assert row.aligned_tokens.tolist() == tokens[first : first + len(row.aligned_tokens)]
        assert row.utterance.wav[0] == first * 2 * HOP
        assert len(row.utterance.acoustics.envelope) == 2 * len(row.aligned_tokens)
        found_phones = list(row.utterance.phones)
        assert any(phones[start : start + len(found_phones)] == found_phones for start in range(len(phones)))
    assert len({len(row.aligned_tokens) for row in found}) > 5
    short = split_at_pauses(whole)[0]
    short = replace(short, aligned_tokens=short.aligned_tokens[:25], encoder_tokens=short.encoder_tokens[:25])
    assert random_crop(short, rng).aligned_tokens.tolist() == tokens[:25]


def test_the_mdct_is_inverted() -> None:
    wav = torch.randn(2, 20 * SUBBANDS)
    inner = slice(SUBBANDS, -SUBBANDS)  # at both ends half a window has no neighbour
    torch.testing.assert_close(inverse_mdct(subbands.mdct(wav))[:, inner], wav[:, inner], atol=1e-5, rtol=0)


def test_the_late_stages_are_initialised_as_the_inverse_of_the_readouts_sub_bands() -> None:
    torch.manual_seed(0)
    generator = WaveformGenerator(SMALLEST.s2, SMALLEST.s2.latent, timbre=16)
    fold_weight_norm(generator)
    initialise(generator)
    readout = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    nn.init.normal_(readout.weight, std=0.01)
    write_inverse_mdct(generator, readout)
    z, no_speaker = torch.randn(1, 64, 12), torch.zeros(1, 16, 1)
    with torch.no_grad():
        expected, made = (
            inverse_mdct(predict_subbands(generator, readout, z, no_speaker)).tanh(),
            generator(z, no_speaker)[:, 0],
        )
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(made[:, 64:-64], expected[:, 64:-64], atol=1e-5, rtol=0)
    again = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    read_inverse_mdct(generator, again)
    torch.testing.assert_close(again.weight, readout.weight, atol=1e-6, rtol=0)


def test_a_generator_of_other_steps_is_refused_with_the_field() -> None:
    with pytest.raises(ValidationError, match=r"s2.upsampleRates=\(10, 8, 8\) must be \(1, 5, 8, 4, 4\)"):
        TinyBaseConfig(
            s2=TinyBaseConfig().s2.model_copy(update={"upsample_rates": (10, 8, 8), "upsample_kernels": (20, 16, 16)})
        )


@pytest.mark.parametrize("hertz", [110.0, 210.0])
def test_the_analysis_finds_pitch_and_envelope_of_a_tone_with_known_ones(hertz: float) -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    wav = sum(torch.sin(2 * torch.pi * hertz * harmonic * time) for harmonic in range(1, 20)) * 0.05
    found = analyse(wav, resample(wav, SAMPLE_RATE, 16_000))
    inner = slice(5, -5)
    assert bool(found.voiced[inner].all())
    assert found.pitch[inner].exp().median().item() == pytest.approx(hertz, rel=0.03)
    in_band = band_centres() < 19 * hertz
    quiet = found.envelope[inner, ~in_band].mean()
    # harmonics of one strength make a flat envelope, whatever their distance
    flat = found.envelope[inner, (band_centres() > 300) & (band_centres() < 17 * hertz)]
    assert flat.mean() > quiet + 8
    assert flat.std() < 0.5


def test_the_vocoder_puts_whole_pulses_into_frames_and_keeps_the_level() -> None:
    frames = 40
    wav = 0.1 * torch.sin(2 * torch.pi * 190 * torch.arange(frames * HOP) / SAMPLE_RATE)
    latents = analyse(wav, resample(wav, SAMPLE_RATE, 16_000)).latents()
    made = vocode(torch.cat([latents, torch.zeros(NOISE_CHANNELS, frames)])[None])[0]
    inner = made[5 * HOP : -5 * HOP]
    # 190 Hz becomes 200 Hz: four pulses of 160 samples in each frame
    assert torch.corrcoef(torch.stack([inner[:-160], inner[160:]]))[0, 1] > 0.95
    assert inner.std().item() == pytest.approx(wav.std().item(), rel=0.5)


def test_a_token_is_the_sub_phone_state_and_the_pitch_bin_at_its_centre() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.linspace(4.7, 5.3, 20))
    labels = token_labels(acoustics, [("SIL", 0.08), ("AA", 0.24), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.pitch_bin, token.onset_offset)
        for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[:2] == [("SIL", None, False)] * 2
    assert named[2:6] == [("AA1", 0, False), ("AA1", 1, False), ("AA2", 1, None), ("AA2", 1, None)]
    assert named[6:] == [("S1", None, False), ("S1", None, False), ("S2", None, None), ("S2", None, None)]


def test_a_token_has_the_onset_offset_of_a_phone_that_begins_with_its_second_frame() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = token_labels(acoustics, [("SIL", 0.06), ("AA", 0.22), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.onset_offset) for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[:3] == [("SIL", False), ("AA1", True), ("AA1", False)]
    assert named[4:7] == [("AA2", None), ("S1", True), ("S1", False)]


def test_a_phone_shorter_than_a_token_gets_one_and_the_next_begins_later() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = token_labels(acoustics, [("AA", 0.08), ("T", 0.105), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.onset_offset) for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[1:4] == [("AA2", None), ("T1", False), ("S1", False)]


def test_the_nearest_codebook_vector_has_the_highest_score() -> None:
    s2 = Synthesizer(SMALLEST.s2)
    write_codebook(s2)
    head = torch.randn(LOGITS, 88)
    write_projection(s2, head)
    features = torch.randn(1, 88, 12)
    scores = (features.transpose(1, 2).unflatten(1, (-1, 2)).mean(2) @ head.T) @ token_vectors().T
    assert s2.quantize(features).tolist() == scores.argmax(-1).tolist()
    again = torch.zeros(LOGITS, 88)
    read_projection(s2, again)
    torch.testing.assert_close(again, head)


@pytest.mark.parametrize("seed", range(8))
def test_an_augmented_recording_keeps_its_tone_and_onset(seed: int) -> None:
    torch.manual_seed(seed)
    wav = torch.sin(torch.arange(24_000) * (2 * torch.pi * 440 / 16_000)) * (torch.arange(24_000) >= 8_000)
    augmented = augment(wav, random.Random(seed))  # noqa: S311 -- repeatable, not secret
    assert augmented.shape == wav.shape
    power = torch.fft.rfft(augmented[10_000:]).abs().square()
    assert power.argmax() == round(440 * 14_000 / 16_000)  # the tone is still the loudest
    assert augmented[:8_000].std() < augmented[8_000:].std()  # and begins when it did


def test_a_stage_that_needs_another_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "build_corpus", lambda *_: (tmp_path, []))
    monkeypatch.setattr(run, "load_utterances", lambda *_: [])
    with pytest.raises(TinyBaseError, match="'prior' needs 'encoder' to be complete"):
        train_base(tmp_path / "base", SMALLEST, 1.0, None, tmp_path / "work", only=["prior"])
    with pytest.raises(TinyBaseError, match="unknown: choose from encoder, prior"):
        train_base(tmp_path / "base", SMALLEST, 1.0, None, tmp_path / "work", only=["nonsense"])


def test_a_stage_that_was_killed_resumes(tmp_path: Path) -> None:
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


def test_curves_average_seldom_logged_values_over_their_steps(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    stage = Stage("part", tmp_path, module, seconds=60.0)
    for step in stage.steps([torch.optim.SGD(module.parameters(), lr=0.1)]):
        if step == REPORT_STEPS:
            break
        stage.log(loss=torch.tensor(2.0), **({"seldom": torch.tensor(3.0)} if step % 5 == 0 else {}))
    rows = [line.split(",")[3:] for line in stage.curves.read_text().splitlines()[1:]]
    assert rows == [["loss", "2.0000"], ["seldom", "3.0000"]]


def test_the_post_filter_keeps_the_mean_and_expands_the_rest_in_the_lower_bands() -> None:
    measured = torch.randn(LATENT - 4, 500, generator=torch.Generator().manual_seed(1))
    silence = torch.full((LATENT - 4, 200), -3.0)
    mean = mean_speech_envelope([measured, silence])
    assert float(mean.mean()) > -0.3  # of speech frames alone
    z = torch.zeros(1, LATENT, 2)
    z[0, :ENHANCED_BANDS] = mean
    z[0, :, 1] += 1
    found = enhance(z, mean)
    torch.testing.assert_close(found[:, :, 0], z[:, :, 0])
    torch.testing.assert_close(found[0, :ENHANCED_BANDS, 1], mean[:, 0] + ENHANCEMENT)
    assert torch.equal(found[:, ENHANCED_BANDS:], z[:, ENHANCED_BANDS:])


def test_a_missing_synthesiser_is_named_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TinyBaseError, match="apt-get install flite"):
        corpus.require_flite()


@needs_flite
def test_reserved_speakers_never_enter_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for speaker in ("1688", "2033", "2609"):
        wavs = tmp_path / "librispeech" / speaker / "wavs"
        wavs.mkdir(parents=True)
        soundfile.write(wavs / f"{speaker}-1.flac", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
        (wavs.parent / "metadata.csv").write_text(f"{speaker}-1|hello there\n")
    _, clips = corpus.build_corpus(2, 1, tmp_path)
    assert [clip.speaker for clip in clips if clip.speaker.startswith("librispeech")] == [
        "librispeech-1688",
        "librispeech-1688-0.92",
        "librispeech-1688-1.08",
    ]


@needs_flite
def test_synthetic_speech_comes_with_phone_times() -> None:
    wav, phone_times = corpus.synthesize(
        "Hello world.", corpus.Variation("slt", pitch=1.2, stretch=1.0, rate_factor=0.9)
    )
    names = [name for name, _ in phone_times if name != "SIL"]
    assert names == ["HH", "AH", "L", "OW", "W", "ER", "L", "D"]
    ends = [end for _, end in phone_times]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(wav) / corpus.SAMPLE_RATE, abs=0.1)


@needs_flite
@pytest.mark.slow
def test_a_whole_run_makes_a_base_whose_graphs_and_weights_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scores = train_base(tmp_path / "base", SMALLEST, minutes=0.1, recordings=None)
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
        expected = s2.decode(**inputs)[:, 0].numpy()
    assert made.shape == (1, 20 * 640)
    np.testing.assert_allclose(made, expected, atol=1e-4)

    train_base(tmp_path / "next", SMALLEST, minutes=1e-6, recordings=None, start=base)
    continued = open_base(str(tmp_path / "next"))
    assert continued.document.training["startedFrom"] == f"smallest {base.digest}, of 0.1 minutes"
    for file in ("s1", "s2g", "s2d", "hubert/model"):
        before, after = (load_file(opened.path(f"{file}.safetensors")) for opened in (base, continued))
        for name, tensor in before.items():
            if name.startswith(tuple(f"waveform_generator.stages.{late}" for late in (2, 3, 4))):
                continue  # initialised again from the recovered readout
            # one step of each stage, at the lowest learning rate
            torch.testing.assert_close(after[name].float(), tensor.float(), atol=2e-3, rtol=2e-2, msg=f"{file} {name}")
    other = SMALLEST.model_copy(update={"hubert": HubertSizes(hidden=96)})
    with pytest.raises(TinyBaseError, match=r"cannot be continued: its hubert.hidden is 88, this run's is 96"):
        train_base(tmp_path / "other", other, minutes=1e-6, recordings=None, start=base)
