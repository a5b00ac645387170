"""Every error that a caller can meet has an answer of its own."""

from collections.abc import Iterator

import pytest

from voice_inference.api.error_handlers import TRANSLATIONS
from voice_inference.errors import (
    InferenceError,
    InvalidSettings,
    LoadError,
    RevisionNotLoaded,
    TryLater,
    VoiceNotReady,
)

NOT_RAISED_IN_REQUESTS = (InvalidSettings, LoadError)  # they end the start, or are shown in /v1/voices
AS_ITS_BASE = {RevisionNotLoaded: VoiceNotReady}  # the same to a caller


def leaves(error: type[InferenceError]) -> Iterator[type[InferenceError]]:
    if not error.__subclasses__():
        yield error
    for child in error.__subclasses__():
        yield from leaves(child)


@pytest.mark.parametrize(
    "error", [leaf for leaf in leaves(InferenceError) if not issubclass(leaf, NOT_RAISED_IN_REQUESTS)]
)
def test_every_error_of_a_request_is_translated(error: type[InferenceError]) -> None:
    assert [one.error for one in TRANSLATIONS if issubclass(error, one.error)] == [AS_ITS_BASE.get(error, error)]


def test_codes_are_unique_and_only_retryable_errors_ask_to_retry() -> None:
    assert len({one.code for one in TRANSLATIONS}) == len(TRANSLATIONS)
    for one in TRANSLATIONS:
        assert issubclass(one.error, TryLater) == (one.status in {429, 503})
