"""Speech while it is still being thought of: tokens in chunks, and samples that join without a seam."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.conditioning import FRAMES_PER_CODE
from sovits_core.synthesis.generation import Utterance, noise_of, tokens

SILENCE = 486
"""The token of silence of every official version."""


@dataclass(frozen=True)
class Chunking:
    """Where the tokens are cut."""

    length: int = 16
    """Tokens of a chunk, at least: 25 are a second."""
    silence: int | None = None
    """Cut only where the tokens sound like this one; None cuts after every `length` tokens."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InvalidModelInput(f"length={self.length}: a chunk has at least one token")
        if self.silence is not None and self.silence < 0:
            raise InvalidModelInput(f"silence={self.silence}: name a token, {SILENCE} in the official versions")


@dataclass(frozen=True)
class Seam:
    """How two chunks of samples are joined; in latent frames of 20 ms unless said otherwise."""

    held: int = 8
    """The newest frames wait for the tokens after them, since the encoder looks ahead."""
    fade: int = 2
    """Over how many of them the older version of the samples gives way to the newer one."""
    search: int = 160
    """Samples by which the newer version may be moved either way to be in phase with the older."""

    def __post_init__(self) -> None:
        if not 1 <= self.fade <= self.held:
            raise InvalidModelInput(f"fade={self.fade} must be 1 to held={self.held}: only held frames can be faded")
        if self.search < 0:
            raise InvalidModelInput(f"search={self.search} must be 0 or above")


def stream_codes(s1: TextToSemantic, utterance: Utterance, chunking: Chunking) -> Iterator[Tensor]:
    """Chunks int64 (n) of the tokens that `generate` would give at once; the last one may be short.

    Raises:
        InvalidModelInput: the token of silence is not in the vocabulary.
    """
    if chunking.silence is not None and chunking.silence >= s1.config.vocabulary:
        raise InvalidModelInput(f"silence={chunking.silence}: the vocabulary has {s1.config.vocabulary} tokens")
    buffer: list[int] = []
    for _, token in tokens(s1, [utterance]):
        buffer.append(token)
        cut = chunking.length if chunking.silence is None else _quiet_cut(s1, buffer, chunking.silence, chunking.length)
        if cut is not None and len(buffer) >= cut:
            yield utterance.phones.new_tensor(buffer[:cut])
            buffer = buffer[cut:]
    if buffer:
        yield utterance.phones.new_tensor(buffer)


def stream_speech(
    s2: Synthesizer, chunks: Iterable[Tensor], text: Tensor, ge: Tensor, *, seed: int, seam: Seam | None = None
) -> Iterator[Tensor]:
    """Samples (n) for chunks of tokens, in total exactly as many as `speak` gives for all tokens.

    Args:
        s2: in evaluation mode.
        chunks: int64 (n) each, as from `stream_codes`.
        text: int64 (1, M), the phones of the target.
        ge: (1, timbre, 1).
        seed: of the noise; the same as for `speak`.
        seam: how chunks are joined.
    """
    decoder = StreamDecoder(s2, text, ge, seed=seed, seam=seam or Seam())
    for chunk in chunks:
        samples = decoder.push(chunk)
        if len(samples):
            yield samples
    samples = decoder.finish()
    if len(samples):
        yield samples


class StreamDecoder:
    """Tokens in, samples out. The encoder reads all tokens so far; the costly generator makes only what is new.

    The generator sees as many frames around its window as it reaches for, so it says there what it would say of the
    whole. What remains between a stream and a whole is that the encoder knew less of the future.
    """

    def __init__(self, s2: Synthesizer, text: Tensor, ge: Tensor, *, seed: int, seam: Seam) -> None:
        """As `stream_speech`."""
        self._s2, self._text, self._ge = s2, text, ge
        self._seed, self._seam = seed, seam
        self._codes = text.new_zeros(1, 0)
        self._reach = generator_reach(s2.config)
        self._done = 0  # frames whose samples have been given away
        self._tail: Tensor | None = None  # (fade * hop): the older version of the samples after those

    def push(self, codes: Tensor) -> Tensor:
        """Read more tokens, int64 (n); return the samples that can no longer change, float (m), perhaps none."""
        self._codes = torch.cat([self._codes, codes[None]], dim=1)
        return self._advance(FRAMES_PER_CODE * self._codes.shape[1] - self._seam.held)

    def finish(self) -> Tensor:
        """Return the rest of the samples."""
        return self._advance(FRAMES_PER_CODE * self._codes.shape[1])

    @torch.no_grad()
    def _advance(self, until: int) -> Tensor:
        """Samples of the frames from where we are until there."""
        if until <= self._done:
            return self._ge.new_zeros(0)
        hop, fade = self._s2.config.hop, self._seam.fade
        frames = FRAMES_PER_CODE * self._codes.shape[1]
        z = self._s2.latent_frames(
            self._codes,
            self._text,
            self._ge,
            noise_of(self._seed, self._s2.config.latent, frames).to(self._ge),
        )
        margin = -(-self._seam.search // hop)  # frames in which the newer version may be moved
        begin = max(0, self._done - margin)
        end = min(frames, until + fade + margin)
        left, right = max(0, begin - self._reach), min(frames, end + self._reach)
        wav = self._s2.waveform_generator(z[:, :, left:right], self._ge)[0, 0]
        wav = wav[(begin - left) * hop : (end - left) * hop]
        # silence where the window ends with the utterance, so that it can be moved there as well
        wav = functional.pad(wav, (self._seam.search, self._seam.search))
        start = (self._done - begin) * hop + self._seam.search
        if self._tail is not None:
            start += best_shift(self._tail, wav, start, self._seam.search)
        fresh = wav[start : start + (until - self._done + fade) * hop]
        if self._tail is not None:
            fresh = cross_fade(self._tail, fresh)
        ready = (until - self._done) * hop
        self._tail, self._done = fresh[ready:], until
        return fresh[:ready]


def best_shift(older: Tensor, newer: Tensor, start: int, search: int) -> int:
    """How many samples later, at most `search` either way, the newer signal must be read to sound most like the older.

    older: (n), newer: (m) with `start - search >= 0`; of equals the smallest shift wins, and none where one is silent.
    """
    window = newer[start - search : start + search + len(older)]
    if len(window) < len(older) + 2 * search or not older.any():
        return 0
    products = functional.conv1d(window[None, None], older[None, None])[0, 0]  # (2 search + 1)
    powers = functional.conv1d(window[None, None].square(), torch.ones_like(older)[None, None])[0, 0]
    likeness = products / powers.clamp(min=1e-8).sqrt()
    shifts = torch.arange(-search, search + 1, device=likeness.device)
    # rounding must not move signals that are the same
    ties = likeness >= likeness.max() - 1e-4 * likeness.abs().max()
    return int(shifts[ties][shifts[ties].abs().argmin()])


def cross_fade(older: Tensor, newer: Tensor) -> Tensor:
    """The newer signal, beginning as the older; the weights sum to one, as both say the same.

    older: (n), newer: (m) with m >= n -> (m).
    """
    size = len(older)
    ramp = torch.arange(1, size + 1, device=older.device, dtype=older.dtype) / (size + 1)
    weight = 0.5 - 0.5 * torch.cos(torch.pi * ramp)
    return torch.cat([older + weight * (newer[:size] - older), newer[size:]])


def generator_reach(config: SynthesizerConfig) -> int:
    """How many latent frames to either side the waveform generator looks at."""
    reach, rate = 3.0, 1  # the first convolution has a kernel of 7
    for stage_rate, kernel in zip(config.upsample_rates, config.upsample_kernels, strict=True):
        reach += kernel / (2 * stage_rate) / rate + 1 / rate
        rate *= stage_rate
        blocks = [
            (width - 1) // 2 * sum(dilation + 1 for dilation in dilations)
            for width, dilations in zip(config.block_kernels, config.block_dilations, strict=True)
        ]
        reach += max(blocks) / rate
    return int(reach + 3 / rate) + 1


def _quiet_cut(s1: TextToSemantic, buffer: list[int], silence: int, length: int) -> int | None:
    """After how many tokens of the buffer to cut: behind the quietest pair, if that is far enough and quiet at all."""
    if len(buffer) < length + 2:
        return None
    table = s1.audio_embedding.weight.detach().float()
    likeness = functional.cosine_similarity(table[buffer], table[silence][None], dim=1)
    likeness = torch.where(likeness < 0, -1.0, likeness)
    pairs = likeness[:-1] + likeness[1:]
    best = int(pairs.argmax())
    return best + 1 if best + 1 >= length and pairs[best] >= 0 else None
