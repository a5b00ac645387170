"""The semantic tokens of one sentence, one after another, until the end token or the maximum length."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sovits_core.synthesis.sampling import Sampler
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


class Utterance:
    """What is said of one sentence; one thread says it, another one waits for it."""

    def __init__(self, sampler: Sampler, said: Ids, limit: int, is_cancelled: IsCancelled = lambda: False) -> None:
        """Go on after the tokens ``said`` (n,), to at most ``limit`` of them; ``is_cancelled`` is asked before each."""
        self._sampler, self._limit, self._is_cancelled = sampler, limit, is_cancelled
        self._said: list[int] = said.tolist()
        self._changed = threading.Condition()
        self._until = 0  # so many tokens wake who waits
        self._ended = False
        self._error: Exception | None = None
        self.finish_reason = FinishReason.MAX_LENGTH

    @property
    def room(self) -> int:
        """Tokens that may still come."""
        return self._limit - len(self._said)

    def said(self, count: int | None = None) -> Ids:
        """The tokens (n,) so far, without the end token; the first ``count`` of them."""
        return np.array(self._said[:count], dtype=np.int64)

    def say(self, logits: NDArray[np.float32]) -> int | None:
        """Choose a token from logits (vocabulary) and return it; None, once there are no more to come."""
        try:
            token = self._next(logits)
        except Exception as error:  # noqa: BLE001 -- raised where it is waited for
            self.end(error)
            return None
        if token is None:
            self.end()
        elif len(self._said) == self._until:
            with self._changed:
                self._changed.notify_all()
        return token

    def _next(self, logits: NDArray[np.float32]) -> int | None:
        if self._is_cancelled():
            raise Cancelled("The client has disconnected.")
        if not self.room:
            return None
        choice = self._sampler.choose(logits)
        if choice.stop:
            self.finish_reason = FinishReason.END_TOKEN
            return None
        self._said.append(choice.token)
        if self.room:
            return choice.token
        log.info("a sentence has no end token after %d tokens", self._limit)
        return None

    def end(self, error: Exception | None = None) -> None:
        """Say no more, because of an error where there is one."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def wait(self, count: int | None = None) -> bool:
        """Wait until so many tokens are there, or for all of them; tell whether they are.

        Raises:
            Cancelled: ``is_cancelled`` returned true.
            InvalidModelInput: the networks returned no numbers.
        """
        with self._changed:
            self._until = count or 0
            self._changed.wait_for(lambda: self._ended or (count is not None and len(self._said) >= count))
        if self._error is not None:
            raise self._error
        return count is None or len(self._said) >= count

    def abandon(self) -> None:
        """Let whoever says it stop: nobody waits any more."""
        self._is_cancelled = lambda: True


def max_tokens(phones: int) -> int:
    """Return the maximum length, in tokens, of a sentence of so many phones."""
    return min(MAX_TOKENS, MIN_TOKEN_LIMIT + TOKENS_PER_PHONE * phones)
