"""A voice, for tables of what follows from it."""

from typing import Any

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.reconcile.observed import Voice

HASH = "3fa9c2d1" * 8
DIGEST = "sha256:" + "b" * 64


def a_voice(status: VoiceModelStatus | None = None, request: str = "", **spec: Any) -> Voice:
    """The voice studio/alice, of generation 3."""
    wanted = {
        "language": "en",
        "base": "tiny",
        "dataset": {"uri": "s3://voices/alice"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    parsed = VoiceModelSpec.model_validate(wanted | spec)
    return Voice("studio", "alice", "uid", 3, parsed, status or VoiceModelStatus(), request)
