"""The server's errors; none of them knows HTTP, ``api/error_handlers.py`` translates those that a caller can meet.

InferenceError
├── InvalidSettings          a flag or variable: the server does not start
├── InvalidRequest           the caller must change the request
├── InvalidKey               nobody knows who asks
├── NoVoices                 who asks is known, and may use no voice at all
├── UnknownVoice
├── UnknownRevision
├── UnknownSample
├── ConsentEnded
├── TextTooLong              more than the caller may have at a time
├── TryLater                 the same request may succeed after ``retry_after`` seconds
│   ├── VoiceNotReady
│   │   └── RevisionNotLoaded
│   ├── Busy
│   ├── RateLimited
│   ├── AuthenticationUnavailable
│   └── ShuttingDown
├── Cancelled                the caller has disconnected
├── SynthesisFailed
└── LoadError                a base or a voice cannot be loaded; shown in ``GET /v1/voices``
    ├── InvalidDocument
    ├── FetchFailed
    ├── DigestMismatch
    ├── InvalidBase
    └── InvalidVoice
"""

from __future__ import annotations

from datetime import date


class InferenceError(Exception):
    """Base of all errors that the server raises on purpose."""


class InvalidSettings(InferenceError):
    """A flag or environment variable has a value that the server cannot start with."""


class InvalidRequest(InferenceError):
    """The caller must change the request; the same one can never succeed."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidKey(InferenceError):
    """The request has no valid key or token; ``given`` says whether it has one at all."""

    def __init__(self, message: str, *, given: bool = True) -> None:
        super().__init__(message)
        self.given = given


class NoVoices(InferenceError):
    """The token is valid, and nobody gave its holder a voice."""


class UnknownVoice(InferenceError):
    """No voice of this name is served here; the sentence names no voices of other namespaces than the one asked for."""

    def __init__(self, name: str, namespace: str, known: tuple[str, ...], total: int) -> None:
        """``known`` are some of the ``total`` voices of the namespace; it is empty for a bare name that means none."""
        if not namespace:
            hint = "name it with its namespace, as in team/alice"
        elif known:
            more = f" and {total - len(known)} more" if total > len(known) else ""
            hint = f"known voices of {namespace[:100]}: {', '.join(known)}{more}"
        else:
            hint = f"no voice of {namespace[:100]} is served here"
        super().__init__(f"There is no voice {name[:100]!r}; {hint}.")


class UnknownRevision(InferenceError):
    """The voice is served here, and that revision of it may not be asked for."""

    def __init__(self, voice_id: str, revision: str, answering: tuple[str, ...]) -> None:
        super().__init__(
            f"There is no revision {revision[:100]!r} of {voice_id} here; these speak: {', '.join(answering)}. "
            f"Without @ the name means the first."
        )


class UnknownSample(InferenceError):
    """The voice's evaluation spoke no such sentence."""

    def __init__(self, voice_id: str, name: str) -> None:
        super().__init__(
            f"There is no sample {name[:100]!r} of {voice_id}; GET /v1/voices/{voice_id}/samples lists them."
        )


class ConsentEnded(InferenceError):
    """The speaker's consent has ended, so the voice is served no longer."""

    def __init__(self, voice_id: str, day: date) -> None:
        super().__init__(f"There is no voice {voice_id!r} any more: the consent to it ended on {day:%Y-%m-%d} (UTC).")


class TextTooLong(InferenceError):
    """The text alone is more than the caller's limit for a minute or a day."""


class TryLater(InferenceError):
    """The request is fine, the server is not ready for it; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VoiceNotReady(TryLater):
    """The voice is desired here, but no revision of it is loaded."""


class RevisionNotLoaded(VoiceNotReady):
    """The revision may be asked for, and is loaded as somebody does so for the first time."""


class Busy(TryLater):
    """The queue of speech requests is full."""


class RateLimited(TryLater):
    """The caller has used up what it may have for now."""


class AuthenticationUnavailable(TryLater):
    """Whoever knows the token's holder does not answer."""


class ShuttingDown(TryLater):
    """The server finishes the running requests and starts no new one."""


class Cancelled(InferenceError):
    """The caller has disconnected, so the work stopped between two steps."""


class SynthesisFailed(InferenceError):
    """The networks returned no proper audio; the voice or the base is broken."""


class LoadError(InferenceError):
    """A base or a voice cannot be loaded; the message is shown to people in ``GET /v1/voices``."""


class InvalidDocument(LoadError):
    """A JSON document has the wrong shape, size or schema version."""


class FetchFailed(LoadError):
    """The object store or the operator did not deliver a file or document."""


class DigestMismatch(LoadError):
    """The bytes have another digest than expected."""


class InvalidBase(LoadError):
    """The base does not keep its contract with the server."""


class InvalidVoice(LoadError):
    """The voice bundle does not fit the base, or is not what a bundle must be."""
