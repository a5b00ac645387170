import itertools

import pytest
import torch

from sovits_core.errors import InvalidModelInput
from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import GenerationRequest, generate_batch, noise_of, synthesize
from sovits_core.synthesis.joining import Overlap
from sovits_core.synthesis.sampling import Sampling
from sovits_core.synthesis.streaming import (
    Chunking,
    StreamDecoder,
    generator_receptive_field,
    stream_audio,
    stream_tokens,
)

HOP = 32
TEXT = torch.tensor([[3, 9, 4, 11, 2]])


def utterance(steps: int = 50) -> GenerationRequest:
    return GenerationRequest(
        torch.tensor([4, 5, 6]), torch.tensor([1, 2]), sampling=Sampling(top_k=8), seed=3, max_tokens=steps
    )


def spoken(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return torch.randint(0, 32, (length,)), torch.randn(1, 24, 1)


def test_chunks_are_the_tokens_of_the_whole_cut_at_a_fixed_length(networks: Networks) -> None:
    with torch.no_grad():
        networks.s1.predict.weight[32] = 0
        networks.s1.predict.weight[:32] *= 10
    whole = generate_batch(networks.s1, [utterance()])[0].tolist()
    chunks = [chunk.tolist() for chunk in stream_tokens(networks.s1, utterance(), Chunking(length=16))]
    assert [len(chunk) for chunk in chunks] == [16, 16, 16, 2]
    assert list(itertools.chain(*chunks)) == whole


def test_a_chunk_is_there_before_the_next_token_is_thought_of(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = networks.s1.step
    monkeypatch.setattr(networks.s1, "step", lambda *given, **named: steps.append(1) or step(*given, **named))
    stream = stream_tokens(networks.s1, utterance(), Chunking(length=5))
    assert len(next(stream)) == 5
    assert len(steps) == 4


def test_a_boundary_at_silence_falls_at_the_quietest_pair_that_is_far_enough(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = 7
    whole = [1, 2, 3, 4, 5, 6, quiet, quiet, 8, 9, 10, 11]
    with torch.no_grad():
        networks.s1.audio_embedding.weight.copy_(torch.eye(33, 32))  # only silence sounds like silence
    monkeypatch.setattr("sovits_core.synthesis.streaming.generate_tokens", lambda *_: ((0, token) for token in whole))

    def lengths(least: int) -> list[int]:
        return [len(chunk) for chunk in stream_tokens(networks.s1, utterance(), Chunking(least, silence=quiet))]

    assert lengths(4) == [6, 6]
    assert lengths(9) == [12]  # a pause that comes too early is no place to cut


@pytest.mark.parametrize("chunk", [1, 4, 9, 40])
def test_a_stream_is_exactly_as_long_as_the_whole(networks: Networks, chunk: int) -> None:
    codes, ge = spoken(37)
    samples = list(stream_audio(networks.s2, codes.split(chunk), TEXT, ge, seed=1))
    assert sum(len(part) for part in samples) == 37 * 2 * HOP
    assert all(len(part) for part in samples)


def test_a_stream_of_one_chunk_is_the_whole(networks: Networks) -> None:
    codes, ge = spoken(37)
    whole = synthesize(networks.s2, codes[None], TEXT, ge, seed=1)[0, 0]
    streamed = torch.cat(list(stream_audio(networks.s2, [codes], TEXT, ge, seed=1)))
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-5)


def test_windows_of_the_generator_join_to_the_whole_where_the_latent_frames_are_the_same(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, ge = spoken(40)
    whole = synthesize(networks.s2, codes[None], TEXT, ge, seed=1)[0, 0]
    assert whole.abs().max() > 0.1
    with torch.no_grad():
        known = networks.s2.latent_frames(codes[None], TEXT, ge, noise_of(1, 16, 80))
    # as if the encoder knew the future: what is left is the cutting and joining
    monkeypatch.setattr(networks.s2, "latent_frames", lambda given, *_: known[:, :, : 2 * given.shape[1]])
    overlap = Overlap(lookahead=8 + generator_receptive_field(networks.s2.config))
    streamed = torch.cat(list(stream_audio(networks.s2, codes.split(7), TEXT, ge, seed=1, overlap=overlap)))
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-5)


def test_samples_come_while_tokens_are_still_missing(networks: Networks) -> None:
    codes, ge = spoken(30)
    decoder = StreamDecoder(networks.s2, TEXT, ge, seed=1, overlap=Overlap(lookahead=8))
    assert len(decoder.push(codes[:4])) == 0  # all of it waits for the lookahead
    assert len(decoder.push(codes[4:20])) == (40 - 8) * HOP
    assert len(decoder.push(codes[20:])) == 20 * HOP
    assert len(decoder.finish()) == 8 * HOP
    assert len(decoder.finish()) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chunking(length=0), "length=0"),
        (lambda: Chunking(silence=-1), "silence=-1"),
    ],
)
def test_impossible_settings_are_refused_by_name(make: object, message: str) -> None:
    with pytest.raises(InvalidModelInput, match=message):
        make()  # type: ignore[operator]


def test_a_token_of_silence_outside_the_vocabulary_is_refused(networks: Networks) -> None:
    with pytest.raises(InvalidModelInput, match="silence=486: the vocabulary has 33"):
        next(stream_tokens(networks.s1, utterance(), Chunking(silence=486)))
