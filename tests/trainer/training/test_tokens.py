"""Token strategies: aligned with the clip's text where the base says so, the encoder's everywhere else."""

from itertools import groupby
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sovits_core.bundle.base import EMBEDDED
from sovits_core.bundle.strategies import AlignedTokens, EncoderTokens, TokenStrategy
from sovits_core.features.recording import prompt_features, training_features
from sovits_core.models import Synthesizer
from sovits_core.text import phonemize
from sovits_core.text.phones import sound_phones
from voice_trainer.job.base import JobBase
from voice_trainer.recordings.audio import TRAINING_RATE, read_mono, resample
from voice_trainer.training.networks import Encoders, load_encoders, load_networks
from voice_trainer.training.tokens import Tokenizer, tokenizer_for


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> JobBase:
    return JobBase(f"{EMBEDDED}tiny", "", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def networks(base: JobBase) -> tuple[Synthesizer, Encoders]:
    cpu = torch.device("cpu")
    return load_networks(base, cpu).s2, load_encoders(base, "en", cpu)


@pytest.fixture(scope="module")
def clip(spoken_dataset: Path) -> tuple[Tensor, str]:
    name, text = (spoken_dataset / "metadata.csv").read_text().splitlines()[0].split("|")
    samples, rate = read_mono(spoken_dataset / "wavs" / f"{name}.wav")
    return torch.from_numpy(resample(samples, rate, TRAINING_RATE)), text


def a_tokenizer(strategy: TokenStrategy, networks: tuple[Synthesizer, Encoders]) -> Tokenizer:
    s2, encoders = networks
    return tokenizer_for(strategy, s2, encoders.hubert, "en")


def test_the_tiny_bases_tokens_follow_the_text_of_a_clip(
    base: JobBase, networks: tuple[Synthesizer, Encoders], clip: tuple[Tensor, str]
) -> None:
    wav, text = clip
    phones = phonemize(text, "en").phones
    strategy = base.document.tokens
    assert isinstance(strategy, AlignedTokens)
    phone_of = {token: name for name, states in strategy.phone_tokens.items() for state in states for token in state}
    tokenizer = a_tokenizer(strategy, networks)
    for tokens_of in (tokenizer.clip, tokenizer.prompt):
        found = tokens_of(wav, text, phones)
        names = [phone_of[token] for token in found.values.tolist()]
        runs = [name for name, _ in groupby(names) if name != "SIL"]
        assert found.aligned
        assert runs == [name for name, _ in groupby(sound_phones(phones))]
    assert "SIL" not in (names[0], names[-1])  # of the prompt


def test_encoder_tokens_are_quantised_features_whatever_the_text(
    networks: tuple[Synthesizer, Encoders], clip: tuple[Tensor, str]
) -> None:
    wav, _ = clip
    s2, encoders = networks
    tokenizer = a_tokenizer(EncoderTokens(), networks)
    for tokens_of, features_of in ((tokenizer.clip, training_features), (tokenizer.prompt, prompt_features)):
        found = tokens_of(wav, "Another text.", phonemize("Another text.", "en").phones)
        with torch.no_grad():
            expected = s2.quantize(features_of(encoders.hubert, wav, TRAINING_RATE))[0]
        assert not found.aligned
        assert torch.equal(found.values, expected)


def test_a_clip_that_its_text_does_not_fit_has_encoder_tokens(
    base: JobBase, networks: tuple[Synthesizer, Encoders], clip: tuple[Tensor, str]
) -> None:
    wav, text = clip
    text = " ".join([text] * 9)
    phones = phonemize(text, "en").phones
    aligned, encoder = (a_tokenizer(strategy, networks) for strategy in (base.document.tokens, EncoderTokens()))
    assert not aligned.clip(wav, text, phones).aligned
    assert torch.equal(aligned.clip(wav, text, phones).values, encoder.clip(wav, text, phones).values)
    assert torch.equal(aligned.prompt(wav, text, phones).values, encoder.prompt(wav, text, phones).values)
