"""Streaming synthesis with the torch networks: tokens in chunks, decoded with overlap and cross-fade.

The server does the same over its graphs; both join with `sovits_core.synthesis.joining`.
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
from sovits_core.synthesis.joining import Joiner, Overlap

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
        self._joiner = Joiner(s2.config.hop, overlap)

    def push(self, tokens: Tensor) -> Tensor:
        """Read more tokens, int64 (n); return the samples that can no longer change, float (m), perhaps none."""
        self._tokens = torch.cat([self._tokens, tokens[None]], dim=1)
        return self._advance(self._joiner.ready(FRAMES_PER_TOKEN * self._tokens.shape[1]))

    def finish(self) -> Tensor:
        """Return the rest of the samples."""
        return self._advance(FRAMES_PER_TOKEN * self._tokens.shape[1])

    @torch.no_grad()
    def _advance(self, until: int) -> Tensor:
        """Samples of the frames from where we are until there."""
        if until <= self._joiner.done:
            return self._speaker_embedding.new_zeros(0)
        hop, frames = self._s2.config.hop, FRAMES_PER_TOKEN * self._tokens.shape[1]
        z = self._s2.latent_frames(
            self._tokens,
            self._text,
            self._speaker_embedding,
            noise_of(self._seed, self._s2.config.latent, frames).to(self._speaker_embedding),
        )
        begin, end = self._joiner.needed(until, frames)
        left, right = max(0, begin - self._field), min(frames, end + self._field)
        wav = self._s2.waveform_generator(z[:, :, left:right], self._speaker_embedding)[0, 0]
        wav = wav[(begin - left) * hop : (end - left) * hop].float().cpu().numpy()
        return torch.from_numpy(self._joiner.advance(wav, begin, until)).to(self._speaker_embedding)


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
