"""Speakers: the encoder computes what PyTorch does, and clips of another reader are told from the others."""

import numpy as np
import torch
import torchaudio

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.measures import AGREEMENT, SPEAKER
from voice_trainer.recordings.models import SPEAKER_ENCODER, verified
from voice_trainer.recordings.speakers import (
    FRAMES,
    HOP,
    MELS,
    RATE,
    WINDOW,
    SpeakerEncoder,
    agreement,
    mel_spectrogram,
    similarities,
)


def noise(seconds: float) -> Samples:
    return (0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


def test_the_spectrogram_is_the_one_that_the_network_was_trained_with() -> None:
    reference = torchaudio.transforms.MelSpectrogram(
        RATE, WINDOW, hop_length=HOP, n_mels=MELS, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )
    samples = noise(1.0)
    expected = reference(torch.from_numpy(samples)).T.numpy()
    np.testing.assert_allclose(mel_spectrogram(samples), expected, rtol=1e-3, atol=1e-6)


def test_the_network_is_the_one_of_its_checkpoint() -> None:
    state = torch.load(verified(SPEAKER_ENCODER), map_location="cpu", weights_only=True)["model_state"]
    lstm, linear = torch.nn.LSTM(MELS, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    lstm.load_state_dict({name.removeprefix("lstm."): value for name, value in state.items() if "lstm." in name})
    linear.load_state_dict({name.removeprefix("linear."): value for name, value in state.items() if "linear." in name})
    samples = noise((FRAMES - 1) * HOP / RATE)  # exactly one partial utterance
    with torch.no_grad():
        hidden = lstm(torch.from_numpy(mel_spectrogram(samples))[None])[1][0][-1]
        expected = torch.nn.functional.normalize(torch.relu(linear(hidden)), dim=1)[0].numpy()
    np.testing.assert_allclose(SpeakerEncoder().embed(samples), expected, atol=1e-4)


def test_clips_of_another_reader_are_told_from_the_others(recorded: dict[str, list[Samples]]) -> None:
    encoder = SpeakerEncoder()
    own = [encoder.embed(clip) for clip in recorded["ljspeech"]]
    foreign = encoder.embed(recorded["367"][0])
    alone, mixed = similarities(own, 0.7), similarities([*own, foreign], 0.7)
    assert SPEAKER.warn is not None
    assert SPEAKER.refuse is not None
    assert min(alone) > SPEAKER.warn
    assert min(mixed[:3]) > SPEAKER.warn
    assert mixed[3] < SPEAKER.refuse


def test_two_readers_with_half_of_the_clips_each_are_not_taken_for_one(recorded: dict[str, list[Samples]]) -> None:
    encoder = SpeakerEncoder()
    found = similarities([encoder.embed(clip) for reader in ("2414", "367") for clip in recorded[reader]], 0.7)
    assert SPEAKER.refuse is not None
    assert sum(value < SPEAKER.refuse for value in found) == 3


def test_one_clip_is_like_itself() -> None:
    assert similarities([np.ones(256, dtype=np.float32) / 16], 0.7).tolist() == [1.0]


def test_a_second_reader_within_a_clip_is_told(recorded: dict[str, list[Samples]]) -> None:
    encoder = SpeakerEncoder()
    own, foreign = np.concatenate(recorded["ljspeech"][:2]), recorded["367"][0]
    seconds = 4 * RATE
    alone = agreement(encoder.partials(own[: 2 * seconds]))
    mixed = agreement(encoder.partials(np.concatenate([own[:seconds], foreign[:seconds]])))
    assert alone is not None
    assert mixed is not None
    assert AGREEMENT.severity(alone) is None
    assert AGREEMENT.severity(mixed) == "refusal"
    assert agreement(encoder.partials(own[: 4 * RATE])) is None, "too short to be told"
