"""Streaming synthesis: tokens in chunks, decoded with overlap and cross-fade.

For the voice server's issue "heard at once" (decision 0014); it has no caller in the product yet.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.conditioning import FRAMES_PER_TOKEN
from sovits_core.synthesis.generation import GenerationRequest, generate_tokens, noise_of

SILENCE = 486
"""The token of silence of every official version."""


@dataclass(frozen=True)
class Chunking:
    """Where tokens are split into chunks."""

    length: int = 16
    """Tokens of a chunk, at least: 25 are a second."""
    silence: int | None = None
    """Split only near tokens like this one; None splits after every `length` tokens."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InvalidModelInput(f"length={self.length}: a chunk has at least one token")
        if self.silence is not None and self.silence < 0:
            raise InvalidModelInput(f"silence={self.silence}: name a token, {SILENCE} in the official versions")


@dataclass(frozen=True)
class Overlap:
    """How two chunks of samples are joined, in latent frames of 20 ms unless noted (as SOLA)."""

    lookahead: int = 8
    """The newest frames wait for the tokens after them, since the encoder is not causal."""
    cross_fade: int = 2
    """Over how many of them the older version of the samples is cross-faded to the newer one."""
    search: int = 160
    """Samples by which the newer version may be moved either way to be in phase with the older."""

    def __post_init__(self) -> None:
        if not 1 <= self.cross_fade <= self.lookahead:
            raise InvalidModelInput(
                f"cross_fade={self.cross_fade} must be 1 to lookahead={self.lookahead}: only held frames can be faded"
            )
        if self.search < 0:
            raise InvalidModelInput(f"search={self.search} must be 0 or above")


def stream_tokens(s1: TextToSemantic, utterance: GenerationRequest, chunking: Chunking) -> Iterator[Tensor]:
    """Chunks int64 (n) of the tokens that `generate` would give at once; the last one may be short.

    Raises:
        InvalidModelInput: the token of silence is not in the vocabulary.
    """
    if chunking.silence is not None and chunking.silence >= s1.config.vocabulary:
        raise InvalidModelInput(f"silence={chunking.silence}: the vocabulary has {s1.config.vocabulary} tokens")
    buffer: list[int] = []
    for _, token in generate_tokens(s1, [utterance]):
        buffer.append(token)
        size = (
            chunking.length
            if chunking.silence is None
            else _quiet_boundary(s1, buffer, chunking.silence, chunking.length)
        )
        if size is not None and len(buffer) >= size:
            yield utterance.phones.new_tensor(buffer[:size])
            buffer = buffer[size:]
    if buffer:
        yield utterance.phones.new_tensor(buffer)


def stream_audio(
    s2: Synthesizer,
    chunks: Iterable[Tensor],
    text: Tensor,
    speaker_embedding: Tensor,
    *,
    seed: int,
    overlap: Overlap | None = None,
) -> Iterator[Tensor]:
    """Samples (n) for chunks of tokens, in total exactly as many as `synthesize` gives for all tokens.

    Args:
        s2: in evaluation mode.
        chunks: int64 (n) each, as from `stream_tokens`.
        text: int64 (1, M), the phones of the target.
        speaker_embedding: (1, embedding, 1).
        seed: of the noise; the same as for `synthesize`.
        overlap: how chunks are joined.
    """
    decoder = StreamDecoder(s2, text, speaker_embedding, seed=seed, overlap=overlap or Overlap())
    for chunk in chunks:
        samples = decoder.push(chunk)
        if len(samples):
            yield samples
    samples = decoder.finish()
    if len(samples):
        yield samples


class StreamDecoder:
    """Tokens in, samples out. The encoder runs over all tokens so far, the costly generator over new frames only.

    The generator is given its receptive field around the window, so it computes the same there as for the whole
    utterance. A stream differs from it only by the encoder's missing future context.
    """

    def __init__(
        self, s2: Synthesizer, text: Tensor, speaker_embedding: Tensor, *, seed: int, overlap: Overlap
    ) -> None:
        """As `stream_audio`."""
        self._s2, self._text, self._speaker_embedding = s2, text, speaker_embedding
        self._seed, self._overlap = seed, overlap
        self._tokens = text.new_zeros(1, 0)
        self._field = generator_receptive_field(s2.config)
        self._done = 0  # frames whose samples have been given away
        self._tail: Tensor | None = None  # (fade * hop): the older version of the samples after those

    def push(self, tokens: Tensor) -> Tensor:
        """Read more tokens, int64 (n); return the samples that can no longer change, float (m), perhaps none."""
        self._tokens = torch.cat([self._tokens, tokens[None]], dim=1)
        return self._advance(FRAMES_PER_TOKEN * self._tokens.shape[1] - self._overlap.lookahead)

    def finish(self) -> Tensor:
        """Return the rest of the samples."""
        return self._advance(FRAMES_PER_TOKEN * self._tokens.shape[1])

    @torch.no_grad()
    def _advance(self, until: int) -> Tensor:
        """Samples of the frames from where we are until there."""
        if until <= self._done:
            return self._speaker_embedding.new_zeros(0)
        hop, cross_fade_frames = self._s2.config.hop, self._overlap.cross_fade
        frames = FRAMES_PER_TOKEN * self._tokens.shape[1]
        z = self._s2.latent_frames(
            self._tokens,
            self._text,
            self._speaker_embedding,
            noise_of(self._seed, self._s2.config.latent, frames).to(self._speaker_embedding),
        )
        margin = -(-self._overlap.search // hop)  # frames in which the newer version may be moved
        begin = max(0, self._done - margin)
        end = min(frames, until + cross_fade_frames + margin)
        left, right = max(0, begin - self._field), min(frames, end + self._field)
        wav = self._s2.waveform_speaker_embeddingnerator(z[:, :, left:right], self._speaker_embedding)[0, 0]
        wav = wav[(begin - left) * hop : (end - left) * hop]
        # silence where the window ends with the utterance, so that it can be moved there as well
        wav = functional.pad(wav, (self._overlap.search, self._overlap.search))
        start = (self._done - begin) * hop + self._overlap.search
        if self._tail is not None:
            start += best_shift(self._tail, wav, start, self._overlap.search)
        fresh = wav[start : start + (until - self._done + cross_fade_frames) * hop]
        if self._tail is not None:
            fresh = cross_fade(self._tail, fresh)
        ready = (until - self._done) * hop
        self._tail, self._done = fresh[ready:], until
        return fresh[:ready]


# Roucos and Wilgus 1985, High quality time-scale modification for speech (SOLA), doi:10.1109/ICASSP.1985.1168381
def best_shift(older: Tensor, newer: Tensor, start: int, search: int) -> int:
    """Return the shift in samples, at most `search` either way, of the highest correlation with the older signal.

    older: (n), newer: (m) with `start - search >= 0`; of equals the smallest shift wins, and none where one is silent.
    """
    window = newer[start - search : start + search + len(older)]
    if len(window) < len(older) + 2 * search or not older.any():
        return 0
    products = functional.conv1d(window[None, None], older[None, None])[0, 0]  # (2 search + 1)
    powers = functional.conv1d(window[None, None].square(), torch.ones_like(older)[None, None])[0, 0]
    similarity = products / powers.clamp(min=1e-8).sqrt()
    shifts = torch.arange(-search, search + 1, device=similarity.device)
    # rounding must not move signals that are the same
    ties = similarity >= similarity.max() - 1e-4 * similarity.abs().max()
    return int(shifts[ties][shifts[ties].abs().argmin()])


def cross_fade(older: Tensor, newer: Tensor) -> Tensor:
    """Return the newer signal, cross-faded from the older; the weights sum to one, as both are in phase.

    older: (n), newer: (m) with m >= n -> (m).
    """
    size = len(older)
    ramp = torch.arange(1, size + 1, device=older.device, dtype=older.dtype) / (size + 1)
    weight = 0.5 - 0.5 * torch.cos(torch.pi * ramp)
    return torch.cat([older + weight * (newer[:size] - older), newer[size:]])


def generator_receptive_field(config: SynthesizerConfig) -> int:
    """Return the receptive field of the waveform generator to either side, in latent frames."""
    field, rate = 3.0, 1  # the first convolution has a kernel of 7
    for stage_rate, kernel in zip(config.upsample_rates, config.upsample_kernels, strict=True):
        field += kernel / (2 * stage_rate) / rate + 1 / rate
        rate *= stage_rate
        blocks = [
            (width - 1) // 2 * sum(dilation + 1 for dilation in dilations)
            for width, dilations in zip(config.block_kernels, config.block_dilations, strict=True)
        ]
        field += max(blocks) / rate
    return int(field + 3 / rate) + 1


def _quiet_boundary(s1: TextToSemantic, buffer: list[int], silence: int, length: int) -> int | None:
    """Return the length of the next chunk: behind the quietest pair of tokens, if far enough and quiet at all."""
    if len(buffer) < length + 2:
        return None
    table = s1.audio_embedding.weight.detach().float()
    similarity = functional.cosine_similarity(table[buffer], table[silence][None], dim=1)
    similarity = torch.where(similarity < 0, -1.0, similarity)
    pairs = similarity[:-1] + similarity[1:]
    best = int(pairs.argmax())
    return best + 1 if best + 1 >= length and pairs[best] >= 0 else None
