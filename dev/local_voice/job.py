"""The documents of a voice on this machine, written by the operator's own code, so that they cannot drift from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.recordings import Recordings
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.manifests.job_document import job_document
from voice_operator.manifests.stage_job import STEPS
from voice_operator.manifests.voice_list import configured_base, list_document
from voice_operator.reconcile.algorithm import versions_for
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.hashing import base_identity, training_hash
from voice_operator.reconcile.observed import DesiredVoice, ServerRef, Voice
from voice_operator.settings import Settings
from voice_store import StoreUri

NAMESPACE = "try"
BASE = "tiny"
STAGES = tuple(stage for steps in STEPS.values() for stage in steps.split(","))


@dataclass(frozen=True)
class LocalVoice:
    """One voice to train and serve, as the operator would have read it from a VoiceModel."""

    voice: Voice
    input_hash: str
    settings: Settings

    @property
    def id(self) -> str:
        """`<namespace>/<name>`, as servers list it."""
        return self.voice.id

    @property
    def revision(self) -> str:
        """The name of the revision that is trained."""
        return str(self.document()["revision"])

    def document(self) -> dict[str, Any]:
        """The job document of all stages, without what the operator's Jobs have for tenants: keys and prefixes."""
        document = job_document(self.voice, StartJob("prepare", attempt=1), self.input_hash, self.settings)
        return {name: part for name, part in document.items() if name not in {"receipts", "allowed"}}

    def workspace(self) -> Path:
        """The folder of the stages' results."""
        return _path(self.document()["store"]["workspace"])

    def bundle(self) -> Path:
        """The folder of the published voice."""
        return _path(self.document()["store"]["revision"])

    def summary(self, stage: str) -> dict[str, Any] | None:
        """The summary of a committed stage; None: it has not finished, or only with another sentence."""
        try:
            manifest = json.loads((self.workspace() / stage / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None
        if manifest["evaluationHash"] not in {"", self.document()["evaluationHash"]}:
            return None
        summary: dict[str, Any] = manifest["summary"]
        return summary

    def desired_voices(self) -> dict[str, Any]:
        """The desired-voices document of a server that serves this voice alone; it must be published."""
        server = ServerRef(NAMESPACE, "local", "")
        bundle = self.bundle()
        digest = f"sha256:{hashlib.sha256((bundle / 'manifest.json').read_bytes()).hexdigest()}"
        voice = DesiredVoice(self.id, self.revision, bundle.as_uri(), digest)
        return list_document(server, [voice], configured_base(BASE, self.settings), 1, self.settings)


def local_voice(recordings: Recordings, store: Path, *, sentence: str, epochs: int) -> LocalVoice:
    """Describe the voice of these recordings as a VoiceModel, with settings whose object store is a folder.

    No gates: who tries recordings wants to hear the result, good or bad; the scores are measured and shown.

    Args:
        recordings: what to train from.
        store: the folder that stands for the object store, absolute.
        sentence: spoken for the report, instead of the base's own sentences.
        epochs: passes over the recordings.
    """
    base = {"uri": f"embedded:{BASE}"}
    images = {"trainer": "local", "inference": "local"}
    settings = Settings.model_validate({"images": images, "bases": {BASE: base}, "storage": {"uri": store.as_uri()}})
    spec = VoiceModelSpec.model_validate(
        {
            "language": "en",
            "base": BASE,
            "dataset": {"uri": recordings.folder.absolute().as_uri()},
            "consent": {"holder": recordings.holder, "statement": "May be used to train a voice on this machine."},
            "training": {"epochs": epochs},
            "evaluation": {"texts": [sentence], "gates": []},
            "compute": {"gpus": 0},
        }
    )
    found = training_hash(
        language=spec.language,
        recordings=_dataset_digest(recordings),
        base=base_identity(BASE, base["uri"], ""),
        training=spec.training,
        algorithm=versions_for(spec.language),
        preparation=spec.dataset,
    )
    voice = Voice(NAMESPACE, recordings.name, uid="", generation=1, spec=spec, status=VoiceModelStatus())
    return LocalVoice(voice, found, settings)


def _dataset_digest(recordings: Recordings) -> str:
    """Return `sha256:…` over names and contents; the operator's own fingerprint would count dates of files here."""
    lines = (
        f"{path.relative_to(recordings.folder).as_posix()}\t{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in recordings.files()
    )
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def _path(uri: str) -> Path:
    """Return the folder of a `file://` URI."""
    return StoreUri.parse(uri).path
