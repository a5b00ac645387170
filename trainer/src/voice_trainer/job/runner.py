"""Runs stages in their order, skips what is committed, and commits what they return."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from voice_store import StoreError
from voice_trainer.errors import UsageError
from voice_trainer.job.algorithm import require_versions
from voice_trainer.job.allowed import require_allowed
from voice_trainer.job.consent import require_consent
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import Summary, now
from voice_trainer.job.workspace import Workspace

logger = logging.getLogger(__name__)

StageFunction = Callable[[TrainingJob, Workspace], Summary | None]


@dataclass(frozen=True)
class Stage:
    """One step; its module ``voice_trainer.stages.<name>`` has a function of the same name."""

    name: str
    needs: tuple[str, ...]
    summary: str
    has_limits: bool = False
    leaves: tuple[str, ...] = ()
    """Objects of the workspace that nobody needs once the stage is committed."""

    def function(self, limits: Limits) -> StageFunction:
        """Import the stage only now: prepare must not wait for torch; ``limits`` go to the stage that has them."""
        module = importlib.import_module(f"voice_trainer.stages.{self.name}")
        function: Callable[..., Summary | None] = getattr(module, self.name)
        return partial(function, limits=limits) if self.has_limits else function


STAGES: tuple[Stage, ...] = (
    Stage("prepare", (), "check consent and recordings, measure speech, normalise, hold clips out", has_limits=True),
    Stage("features", ("prepare",), "phones, semantic tokens and speaker embedding of every clip"),
    Stage("train", ("features",), "fit LoRA adapters on both networks", leaves=("train/checkpoint.safetensors",)),
    Stage(
        "evaluate",
        ("prepare", "features", "train"),
        "resynthesise held-out clips, speak sentences, measure them, apply the gates",
        has_limits=True,
    ),
    Stage("publish", ("prepare", "features", "train", "evaluate"), "assemble and upload the voice bundle"),
)


def stages_named(names: str) -> tuple[Stage, ...]:
    """Return the stages of a comma-separated list, in the order in which they run.

    Raises:
        UsageError: a name is unknown or the list is empty.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [stage.name for stage in STAGES]
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"--stages: {unknown[0]!r} is no stage; known: {', '.join(known)}", reason="UnknownStage")
    if not wanted:
        raise UsageError(f"--stages is empty; name some of: {', '.join(known)}", reason="UnknownStage")
    return tuple(stage for stage in STAGES if stage.name in wanted)


class Run:
    """One run of the trainer; ``current`` is the stage to blame when it fails."""

    def __init__(self, stages: Sequence[Stage], limits: Limits | None = None) -> None:
        """Run ``stages`` with other minimums than the defaults where ``limits`` are given."""
        self.stages = stages
        self.limits = limits or Limits()
        self.current = stages[0].name
        self.seconds: dict[str, float] = {}
        """Of each stage that ran to its end."""

    def execute(self, job: TrainingJob, workspace: Workspace) -> None:
        """Bring every stage to its manifest.

        Raises:
            TrainerError, StoreError: see ``errors.py`` and ``voice_store.errors``.
        """
        require_consent(job.consent, datetime.now(UTC).date())
        require_versions(job)
        require_allowed(job)
        for stage in self.stages:
            self.current = stage.name
            if workspace.manifest(stage.name) is not None:
                logger.info("%s: already done for %s, skipped", stage.name, job.input_hash[:8])
                _tidy(stage, workspace)
                continue
            started_at, clock = now(), time.monotonic()
            workspace.begin(stage.name)
            summary = stage.function(self.limits)(job, workspace)
            if summary is None:
                logger.info("%s: nothing to commit", stage.name)
                continue
            workspace.commit(stage.name, summary, started_at=started_at)
            _tidy(stage, workspace)
            self.seconds[stage.name] = time.monotonic() - clock
            logger.info("%s: done in %.1f s: %s", stage.name, self.seconds[stage.name], brief(summary))


def _tidy(stage: Stage, workspace: Workspace) -> None:
    """Delete what a committed stage leaves: not before, or a commit that fails would lose all of its work."""
    for key in stage.leaves:
        try:
            workspace.store.delete(key)
        except StoreError as error:
            logger.warning("%s: %s stays: %s", stage.name, key, error)


def brief(summary: Summary) -> str:
    """Return the plain values of a summary for one log line."""
    return ", ".join(f"{name}={value}" for name, value in summary.items() if isinstance(value, str | int | bool))
