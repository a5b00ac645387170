"""Pretraining makes a base that opens, from speech it makes itself, and goes on after a kill."""

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
from tiny_base.acoustics import (
    CHANCES,
    HOP,
    LATENT,
    SAMPLE_RATE,
    Acoustics,
    analyse,
    band_centres,
)
from tiny_base.batches import Spoken
from tiny_base.codes import (
    CODES,
    HALVES,
    READINGS,
    code_labels,
    code_vectors,
    read_projection,
    write_codebook,
    write_projection,
)
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.disturbances import disturbed
from tiny_base.encoder import align
from tiny_base.errors import PretrainError
from tiny_base.phones import CLASSES
from tiny_base.pieces import EXCERPT, cut, excerpt
from tiny_base.pulses import sound
from tiny_base.run import pretrain
from tiny_base.sentences import compose
from tiny_base.sizes import HubertSizes, PretrainConfig
from tiny_base.sound import CONTRAST, FORMANT_BANDS, average_speech, contrasted
from tiny_base.stage import REPORT_STEPS, Stage
from tiny_base.subbands import RATES, SUBBANDS, bands_seen, initialise, join, read_synthesis, write_synthesis

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")

SMALLEST = PretrainConfig(
    name="smallest",
    sentences=24,
    lines=12,
    hubert=HubertSizes(hidden=88, layers=1, heads=2, feed_forward=32, convolution=16),
    s1=TextToSemanticConfig(vocabulary=len(CODES) + 1, bert_dim=4, hidden=32, heads=2, layers=3, feed_forward=32),
    s2=SynthesizerConfig(
        codebook_size=len(CODES), ssl_dim=88, latent=64, hidden=16, filter=16, ssl_layers=1, text_layers=1,
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


def test_alignment_puts_each_phone_where_it_is_heard_and_silence_only_where_there_is_some() -> None:
    heard = ["SIL", "K", "K", "AE", "AE", "AE", "T", "SIL", "SIL", "S", "S"]
    scores = torch.full((len(heard), len(CLASSES)), -5.0)
    for frame, name in enumerate(heard):
        scores[frame, CLASSES.index(name)] = 0
    phones = ("K", "AE1", "T", ",", "S")
    found = align(scores, phones, [True] * 4)
    assert found == [("SIL", 1), ("K", 3), ("AE", 6), ("T", 7), ("SIL", 9), ("S", 11)]
    assert "SIL" not in dict(align(scores, phones, [True, True, False, True])[1:])


def long_utterance() -> Spoken:
    """A sentence with a pause in it, whose sound tells the number of its frame."""
    text = "He said no, and she did too."
    phones = phonemize(text, "en").phones
    names = [phone.rstrip("012") for phone in phones if phone[0].isalpha()]
    ends = [0.3 * (index + 1) + (1.0 if index > 6 else 0) for index in range(len(names))]  # "no" is followed by a pause
    segments = list(zip(names, ends, strict=True))
    segments.insert(7, ("SIL", ends[6] + 1.0))
    frames = round(ends[-1] / 0.02) // 2 * 2
    acoustics = Acoustics(
        torch.arange(frames)[:, None] * torch.ones(58), torch.ones(frames) > 0, torch.full((frames,), 5.0)
    )
    wav = torch.arange(frames * HOP, dtype=torch.int32)
    whole = Utterance(
        Clip("one", "reader", text, "", ends[-1], segments), wav, wav[::2], acoustics, phones, torch.arange(len(phones))
    )
    codes = code_labels(acoustics, segments, frames // 2)
    return Spoken(whole, codes, codes)


def test_a_long_recording_is_cut_at_its_pauses_into_pieces_that_know_their_phones() -> None:
    whole = long_utterance()
    pieces = cut(whole)
    assert [" ".join(piece.utterance.phones) for piece in pieces] == [
        "HH IY1 S EH1 D N OW1 ,",
        "AH0 N D SH IY1 D IH1 D T UW1 .",
    ]
    assert torch.cat([piece.codes for piece in pieces]).tolist() == whole.codes.tolist()
    for piece in pieces:
        assert piece.place.max() < len(piece.utterance.phones)
        # what is heard in each token is what it was
        assert piece.utterance.wav[0] == piece.utterance.acoustics.envelope[0, 0] * HOP
        relabelled = code_labels(piece.utterance.acoustics, piece.utterance.clip.segments, len(piece.codes))
        assert (relabelled == piece.codes).float().mean() > 0.95


def test_an_excerpt_is_some_phones_in_a_row_with_their_sound() -> None:
    whole, rng = long_utterance(), random.Random(4)  # noqa: S311 -- repeatable, not secret
    phones, codes = list(whole.utterance.phones), whole.codes.tolist()
    drawn = [excerpt(whole, rng) for _ in range(40)]
    found = [row for row in drawn if row is not whole]  # where nothing but the pause is drawn, all of it is learnt
    assert len(found) > 30
    for row in found:
        assert EXCERPT[0] - 12 <= len(row.codes) <= EXCERPT[1]  # a phone and a pause are up to 12 tokens here
        first = int(row.utterance.acoustics.envelope[0, 0]) // 2
        assert row.codes.tolist() == codes[first : first + len(row.codes)]
        assert row.utterance.wav[0] == first * 2 * HOP
        assert len(row.utterance.acoustics.envelope) == 2 * len(row.codes)
        said = list(row.utterance.phones)
        assert any(phones[start : start + len(said)] == said for start in range(len(phones)))
    assert len({len(row.codes) for row in found}) > 5
    short = cut(whole)[0]
    assert excerpt(replace(short, codes=short.codes[:25], heard=short.heard[:25]), rng).codes.tolist() == codes[:25]


def test_sub_bands_of_a_waveform_become_the_waveform_again() -> None:
    wav = torch.randn(2, 20 * SUBBANDS)
    inner = slice(SUBBANDS, -SUBBANDS)  # at both ends half a window has no neighbour
    torch.testing.assert_close(join(subbands.split(wav))[:, inner], wav[:, inner], atol=1e-5, rtol=0)


def test_the_written_stages_of_a_generator_sound_exactly_what_the_readout_sees() -> None:
    torch.manual_seed(0)
    generator = WaveformGenerator(SMALLEST.s2, SMALLEST.s2.latent, timbre=16)
    fold_weight_norm(generator)
    initialise(generator)
    readout = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    nn.init.normal_(readout.weight, std=0.01)
    write_synthesis(generator, readout)
    z, nobody = torch.randn(1, 64, 12), torch.zeros(1, 16, 1)
    with torch.no_grad():
        seen, made = join(bands_seen(generator, readout, z, nobody)).tanh(), generator(z, nobody)[:, 0]
    assert seen.abs().max() > 0.05
    torch.testing.assert_close(made[:, 64:-64], seen[:, 64:-64], atol=1e-5, rtol=0)
    again = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    read_synthesis(generator, again)
    torch.testing.assert_close(again.weight, readout.weight, atol=1e-6, rtol=0)


def test_a_generator_of_other_steps_is_refused_with_the_field() -> None:
    with pytest.raises(ValidationError, match=r"s2.upsampleRates=\(10, 8, 8\) must be \(1, 5, 8, 4, 4\)"):
        PretrainConfig(
            s2=PretrainConfig().s2.model_copy(update={"upsample_rates": (10, 8, 8), "upsample_kernels": (20, 16, 16)})
        )


@pytest.mark.parametrize("hertz", [110.0, 210.0])
def test_the_analysis_finds_pitch_and_envelope_of_a_tone_with_known_ones(hertz: float) -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    wav = sum(torch.sin(2 * torch.pi * hertz * harmonic * time) for harmonic in range(1, 20)) * 0.05
    found = analyse(wav, resample(wav, SAMPLE_RATE, 16_000))
    inner = slice(5, -5)
    assert bool(found.voiced[inner].all())
    assert found.pitch[inner].exp().median().item() == pytest.approx(hertz, rel=0.03)
    heard = band_centres() < 19 * hertz
    quiet = found.envelope[inner, ~heard].mean()
    # harmonics of one strength make a flat envelope, whatever their distance
    flat = found.envelope[inner, (band_centres() > 300) & (band_centres() < 17 * hertz)]
    assert flat.mean() > quiet + 8
    assert flat.std() < 0.5


def test_the_vocoder_puts_whole_pulses_into_frames_and_keeps_the_level() -> None:
    frames = 40
    wav = 0.1 * torch.sin(2 * torch.pi * 190 * torch.arange(frames * HOP) / SAMPLE_RATE)
    latents = analyse(wav, resample(wav, SAMPLE_RATE, 16_000)).latents()
    made = sound(torch.cat([latents, torch.zeros(CHANCES, frames)])[None])[0]
    inner = made[5 * HOP : -5 * HOP]
    # 190 Hz becomes 200 Hz: four pulses of 160 samples in each frame
    assert torch.corrcoef(torch.stack([inner[:-160], inner[160:]]))[0, 1] > 0.95
    assert inner.std().item() == pytest.approx(wav.std().item(), rel=0.5)


def test_a_token_is_the_half_phone_and_the_height_at_its_middle() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.linspace(4.7, 5.3, 20))
    labels = code_labels(acoustics, [("SIL", 0.08), ("AA", 0.24), ("S", 0.4)], 10)
    named = [(HALVES[code.half], code.level, code.late) for code in (CODES[label] for label in labels.tolist())]
    assert named[:2] == [("SIL", None, False)] * 2
    assert named[2:6] == [("AA1", 0, False), ("AA1", 1, False), ("AA2", 1, None), ("AA2", 1, None)]
    assert named[6:] == [("S1", None, False), ("S1", None, False), ("S2", None, None), ("S2", None, None)]


def test_a_token_tells_a_phone_that_begins_with_its_second_frame() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = code_labels(acoustics, [("SIL", 0.06), ("AA", 0.22), ("S", 0.4)], 10)
    named = [(HALVES[code.half], code.late) for code in (CODES[label] for label in labels.tolist())]
    assert named[:3] == [("SIL", False), ("AA1", True), ("AA1", False)]
    assert named[4:7] == [("AA2", None), ("S1", True), ("S1", False)]


def test_a_phone_shorter_than_a_token_is_shown_and_the_next_one_waits() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = code_labels(acoustics, [("AA", 0.08), ("T", 0.105), ("S", 0.4)], 10)
    named = [(HALVES[code.half], code.late) for code in (CODES[label] for label in labels.tolist())]
    assert named[1:4] == [("AA2", None), ("T1", False), ("S1", False)]


def test_the_nearest_code_is_the_one_with_the_highest_score() -> None:
    s2 = Synthesizer(SMALLEST.s2)
    write_codebook(s2)
    read = torch.randn(READINGS, 88)
    write_projection(s2, read)
    features = torch.randn(1, 88, 12)
    scores = (features.transpose(1, 2).unflatten(1, (-1, 2)).mean(2) @ read.T) @ code_vectors().T
    assert s2.quantize(features).tolist() == scores.argmax(-1).tolist()
    again = torch.zeros(READINGS, 88)
    read_projection(s2, again)
    torch.testing.assert_close(again, read)


@pytest.mark.parametrize("seed", range(8))
def test_a_disturbed_recording_is_still_the_recording(seed: int) -> None:
    torch.manual_seed(seed)
    wav = torch.sin(torch.arange(24_000) * (2 * torch.pi * 440 / 16_000)) * (torch.arange(24_000) >= 8_000)
    heard = disturbed(wav, random.Random(seed))  # noqa: S311 -- repeatable, not secret
    assert heard.shape == wav.shape
    power = torch.fft.rfft(heard[10_000:]).abs().square()
    assert power.argmax() == round(440 * 14_000 / 16_000)  # the tone is still the loudest
    assert heard[:8_000].std() < heard[8_000:].std()  # and begins when it did


def test_a_stage_that_needs_another_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "build_corpus", lambda *_: (tmp_path, []))
    monkeypatch.setattr(run, "load_utterances", lambda *_: [])
    with pytest.raises(PretrainError, match="'prior' needs 'encoder' to be complete"):
        pretrain(tmp_path / "base", SMALLEST, 1.0, None, tmp_path / "work", only=["prior"])
    with pytest.raises(PretrainError, match="unknown: choose from encoder, prior"):
        pretrain(tmp_path / "base", SMALLEST, 1.0, None, tmp_path / "work", only=["nonsense"])


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


def test_curves_average_what_only_some_steps_measure_over_those(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    stage = Stage("part", tmp_path, module, seconds=60.0)
    for step in stage.steps([torch.optim.SGD(module.parameters(), lr=0.1)]):
        if step == REPORT_STEPS:
            break
        stage.log(loss=torch.tensor(2.0), **({"seldom": torch.tensor(3.0)} if step % 5 == 0 else {}))
    rows = [line.split(",")[3:] for line in stage.curves.read_text().splitlines()[1:]]
    assert rows == [["loss", "2.0000"], ["seldom", "3.0000"]]


def test_an_average_frame_sounds_as_it_is_and_others_have_more_contrast_where_formants_are() -> None:
    measured = torch.randn(LATENT - 4, 500, generator=torch.Generator().manual_seed(1))
    silence = torch.full((LATENT - 4, 200), -3.0)
    average = average_speech([measured, silence])
    assert float(average.mean()) > -0.3  # of what is audible
    z = torch.zeros(1, LATENT, 2)
    z[0, :FORMANT_BANDS] = average
    z[0, :, 1] += 1
    found = contrasted(z, average)
    torch.testing.assert_close(found[:, :, 0], z[:, :, 0])
    torch.testing.assert_close(found[0, :FORMANT_BANDS, 1], average[:, 0] + CONTRAST)
    assert torch.equal(found[:, FORMANT_BANDS:], z[:, FORMANT_BANDS:])


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
    assert [clip.speaker for clip in clips if clip.speaker.startswith("librispeech")] == [
        "librispeech-1688",
        "librispeech-1688-0.92",
        "librispeech-1688-1.08",
    ]


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

    pretrain(tmp_path / "next", SMALLEST, minutes=1e-6, recordings=None, start=base)
    going_on = open_base(str(tmp_path / "next"))
    assert going_on.document.training["startedFrom"] == f"smallest {base.digest}, of 0.1 minutes"
    for file in ("s1", "s2g", "s2d", "hubert/model"):
        before, after = (load_file(opened.path(f"{file}.safetensors")) for opened in (base, going_on))
        for name, tensor in before.items():
            if name.startswith(tuple(f"waveform_generator.stages.{late}" for late in (2, 3, 4))):
                continue  # written anew from what was read off them
            # one step of each stage, at the lowest learning rate
            torch.testing.assert_close(after[name].float(), tensor.float(), atol=2e-3, rtol=2e-2, msg=f"{file} {name}")
    other = SMALLEST.model_copy(update={"hubert": HubertSizes(hidden=96)})
    with pytest.raises(PretrainError, match=r"cannot be continued: its hubert.hidden is 88, this run's is 96"):
        pretrain(tmp_path / "other", other, minutes=1e-6, recordings=None, start=base)
