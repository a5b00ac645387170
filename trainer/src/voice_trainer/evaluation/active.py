"""The revision that is served now, from its bundle: what a new one is compared with."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from sovits_core.errors import AdapterRejected
from voice_store import BundleCache, DigestMismatch, InvalidIndex, NotFound, open_store
from voice_trainer.evaluation.synthesis import Prompt, load_prompt
from voice_trainer.evaluation.voice import TrainedVoice, load_voice
from voice_trainer.job.base import JobBase
from voice_trainer.job.bundle import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MIB, PROMPT, VOICE, bundles_with
from voice_trainer.job.document import ActiveRevision

logger = logging.getLogger(__name__)

SPEAKING: Final = bundles_with("active", VOICE, ADAPTER_CONFIG, ADAPTER_WEIGHTS, PROMPT, size_limit=1024 * MIB)


@dataclass(frozen=True)
class ActiveVoice:
    """The served revision, ready to speak."""

    revision: str
    voice: TrainedVoice
    prompt: Prompt


@dataclass(frozen=True)
class NotCompared:
    """Why a served revision is not compared, as a sentence."""

    revision: str
    reason: str


def load_active(
    active: ActiveRevision | None, base: JobBase, language: str, scratch: Path, device: torch.device
) -> ActiveVoice | NotCompared | None:
    """Fetch the served revision's bundle and load it; None: nothing is served.

    What cannot be compared is told in the report and hinders nothing: an earlier voice must not keep a new one back.

    Raises:
        StoreError: the store does not answer, or refuses; another attempt may succeed.
    """
    if active is None:
        return None
    try:
        folder = BundleCache(scratch).fetch(SPEAKING, lambda: open_store(active.uri), active.digest)
        document = json.loads((folder / VOICE).read_bytes())
        if reason := _other_kind(document, base.digest, language):
            return NotCompared(active.revision, reason)
        voice = load_voice(base, folder, device)
        return ActiveVoice(active.revision, voice, load_prompt(folder / PROMPT))
    except (NotFound, DigestMismatch, InvalidIndex) as error:
        reason = f"its bundle is not there as it was published: {error}"
    except (AdapterRejected, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        reason = f"its bundle cannot be loaded: {error}"
    logger.warning("evaluate: %s is not compared: %s", active.revision, reason)
    return NotCompared(active.revision, reason)


def _other_kind(document: dict[str, object], base_digest: str, language: str) -> str:
    """Return why figures of the two would say nothing about which is better; empty: they do."""
    base = document["base"]
    if not isinstance(base, dict) or base["digest"] != base_digest:
        return "it was made from another base"
    spoken = document["language"]
    return "" if spoken == language else f"it speaks another language ({spoken})"
