"""What a decision may ask for. Each effect has a fixed name and may be repeated without harm."""

from dataclasses import dataclass

from voice_operator.api.voice_status import StageName
from voice_operator.reconcile.observed import StageOutput


@dataclass(frozen=True)
class StartJob:
    """Run one attempt of a stage."""

    stage: StageName
    attempt: int
    batch_size_divisor: int = 1


@dataclass(frozen=True)
class DeleteJob:
    """Take a Job and its pods away."""

    name: str


@dataclass(frozen=True)
class SuspendJob:
    """Pause a Job, or let it go on."""

    name: str
    suspend: bool


@dataclass(frozen=True)
class CreateRevision:
    """Record the published voice as a VoiceRevision."""

    name: str
    published: StageOutput
    evaluated: StageOutput


@dataclass(frozen=True)
class SetRevisionState:
    """Say on a VoiceRevision what it is used for."""

    name: str
    state: str
    legal_hold: bool


Effect = StartJob | DeleteJob | SuspendJob | CreateRevision | SetRevisionState
