"""The server's errors, as a tree; none of them knows HTTP, ``api/error_handlers.py`` translates them."""

from __future__ import annotations


class InferenceError(Exception):
    """Base of all errors that the server raises on purpose."""


class InvalidSettings(InferenceError):
    """A flag or environment variable has a value that the server cannot start with."""


# What a caller asked for


class InvalidRequest(InferenceError):
    """The caller must change the request; the same one can never succeed."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownVoice(InferenceError):
    """No voice of this name is served here."""

    def __init__(self, name: str, known: tuple[str, ...], total: int) -> None:
        others = f"; known voices: {', '.join(known)}" if known else "; no voice is served yet"
        more = f" and {total - len(known)} more" if total > len(known) else ""
        super().__init__(f"There is no voice {name[:100]!r}{others}{more}.")


class AmbiguousVoice(InferenceError):
    """The bare name belongs to voices of several namespaces."""

    def __init__(self, name: str, candidates: tuple[str, ...]) -> None:
        super().__init__(f"The voice {name!r} is ambiguous; use one of {', '.join(candidates)}.")


class TryLater(InferenceError):
    """The request is fine, the server is not ready for it; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VoiceNotReady(TryLater):
    """The voice is wanted here, but it has not been loaded."""


class Busy(TryLater):
    """As many requests wait as the server lets wait."""


class ShuttingDown(TryLater):
    """The server finishes what it has begun and starts nothing new."""


# What happened on the way to audio


class Cancelled(InferenceError):
    """The caller has gone, so the work stopped between two steps."""


class SynthesisFailed(InferenceError):
    """The networks returned something that is no sound; the voice or the base is broken."""


# What the server was told to load


class LoadError(InferenceError):
    """A base or a voice cannot be loaded; the message is shown to people in ``GET /v1/voices``."""


class InvalidDocument(LoadError):
    """A JSON document has the wrong shape, size or schema version."""


class FetchFailed(LoadError):
    """The object store or the operator did not give what was asked for."""


class DigestMismatch(LoadError):
    """The bytes are not those that were promised."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{what} has the digest {actual}, expected {expected}; publish it again or correct the digest")


class InvalidBase(LoadError):
    """The base does not keep its contract with the server."""


class InvalidVoice(LoadError):
    """The voice bundle does not fit the base, or is not what a bundle must be."""
