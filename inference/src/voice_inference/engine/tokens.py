"""The semantic tokens of one sentence, one after another, until the end token or the maximum length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sovits_core.serving.loop import StepLoop
from sovits_core.synthesis.sampling import Sampler, Sampling
from voice_inference.bundles.sessions import Tensor
from voice_inference.bundles.voice import Voice
from voice_inference.errors import Cancelled

# Speech has 10 to 15 phones per second, slow speech 4, at 25 tokens per second: the limit stops loops alone.
TOKENS_PER_PHONE: Final = 6
MIN_TOKEN_LIMIT: Final = 25
MAX_TOKENS: Final = 1500  # one minute, the networks' own limit

log = logging.getLogger(__name__)
IsCancelled = Callable[[], bool]
Ids = NDArray[np.int64]
NOTHING: Final[Ids] = np.zeros(0, dtype=np.int64)


class FinishReason(StrEnum):
    """How the token loop of a sentence ended."""

    END_TOKEN = "end_token"  # noqa: S105 -- a semantic token, no secret
    MAX_LENGTH = "max_length"


class TokenStream:
    """An iterator of the tokens that S1 says; what it has said so far, and how it ended, can be asked."""

    def __init__(
        self,
        voice: Voice,
        phones: Ids,
        bert: NDArray[np.float32],
        draws: tuple[Sampling, np.random.Generator],
        *,
        is_cancelled: IsCancelled,
        said: Ids = NOTHING,
    ) -> None:
        """Prepare for a sentence; nothing runs yet.

        Args:
            voice: who speaks.
            phones: int64 (T,) of the sentence, the prompt's not among them.
            bert: float32 (1, P + T, width) of prompt and sentence.
            draws: how tokens are chosen, and a generator for that alone.
            is_cancelled: is asked between two tokens.
            said: int64 (n,) tokens of the sentence that stay as they are; it goes on after them.
        """
        self._voice, self._phones, self._bert = voice, phones, bert
        self._draws, self._is_cancelled = draws, is_cancelled
        self._said: list[int] = said.tolist()
        self.finish_reason = FinishReason.MAX_LENGTH

    @property
    def said(self) -> Ids:
        """The tokens (n,) so far, without the end token."""
        return np.array(self._said, dtype=np.int64)

    def __iter__(self) -> Iterator[int]:
        """Yield how many tokens there are, after each.

        Raises:
            Cancelled: ``is_cancelled`` returned true.
            InvalidModelInput: the networks returned no numbers.
        """
        prompt = self._voice.prompt
        before = np.concatenate([prompt.tokens, self.said])
        inputs: dict[str, Tensor] = {
            "phones": np.concatenate([prompt.phones, self._phones])[None],  # (1, T)
            "bert": self._bert,
            "prompt": before[None],  # (1, P)
        }
        base = self._voice.base
        prefill = base.prefill.run(inputs, self._voice.prefill)
        limit = max_tokens(self._phones.size)
        room = limit - len(self._said)
        loop = StepLoop(base.step.session, self._voice.step, prefill["keys"], prefill["values"], room)
        sampler = Sampler(*self._draws, base.end_token, before.tolist())
        logits = prefill["logits"][0]
        while len(self._said) < limit:
            if self._is_cancelled():
                raise Cancelled("The client has disconnected.")
            choice = sampler.choose(logits)
            if choice.stop:
                self.finish_reason = FinishReason.END_TOKEN
                return
            self._said.append(choice.token)
            yield len(self._said)
            if len(self._said) < limit:
                logits = loop.read(choice.token, prompt.tokens.size + len(self._said) - 1)
        log.info("a sentence of %d phones has no end token after %d tokens", self._phones.size, limit)


def max_tokens(phones: int) -> int:
    """Return the maximum length, in tokens, of a sentence of so many phones."""
    return min(MAX_TOKENS, MIN_TOKEN_LIMIT + TOKENS_PER_PHONE * phones)
