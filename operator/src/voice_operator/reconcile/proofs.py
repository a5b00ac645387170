"""Which results of stages count: those with a receipt by an attempt that the operator made and saw succeed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from voice_operator.api.voice_status import STAGES, StageName, StageStatus
from voice_operator.documents import Receipt, Result
from voice_operator.errors import InvalidDocument
from voice_operator.reconcile.names import job_name
from voice_operator.reconcile.observed import ObservedJob, Proof, StageFolder, Voice
from voice_operator.signing import SigningKey, has_tag

FOLDERS: dict[StageName, tuple[StageFolder, ...]] = {
    "prepare": ("prepare",),
    "train": ("features", "train"),
    "evaluate": ("evaluate", "publish"),
}
STAGE_OF: dict[StageFolder, StageName] = {folder: stage for stage in STAGES for folder in FOLDERS[stage]}
CHAIN: tuple[StageFolder, ...] = tuple(STAGE_OF)  # from the recordings to the published bundle
NEEDS: dict[StageFolder, frozenset[StageFolder]] = {
    "prepare": frozenset(),
    "features": frozenset({"prepare"}),
    "train": frozenset({"features"}),
    "evaluate": frozenset({"features", "train"}),
    "publish": frozenset({"train", "evaluate"}),
}  # at least these


@dataclass(frozen=True)
class Verifier:
    """Checks the results of one voice and input."""

    voice: Voice
    input_hash: str
    key: SigningKey
    jobs: tuple[ObservedJob, ...] = ()
    recorded: tuple[StageStatus, ...] = ()

    def proof(self, folder: StageFolder, manifest: bytes, receipt: bytes | None) -> Proof | str:
        """Return the proof of a manifest, or why there is none, as the end of a sentence about it."""
        if receipt is None:
            return "has no receipt.json: no stage of this installation wrote it, or the trainer's image is too old"
        try:
            document: Any = json.loads(receipt)
            read = Receipt.read(receipt, "receipt.json")
        except (ValueError, InvalidDocument):
            return "has a receipt.json that is no receipt"
        stage, digest = STAGE_OF[folder], digest_of_bytes(manifest)
        problem = self._problem(folder, read, digest)
        if not has_tag(document, self._key(stage, read.attempt)):
            problem = "has a receipt that no attempt of this voice's stage wrote"
        return problem or Proof(folder, read.job, read.attempt, digest, read.inputs)

    def _problem(self, folder: StageFolder, receipt: Receipt, digest: str) -> str:
        """Return what is wrong with a receipt besides its tag; empty: nothing."""
        stage = STAGE_OF[folder]
        job = job_name(self.voice.name, self.input_hash, stage, receipt.attempt)
        if (receipt.stage, receipt.input_hash, receipt.job) != (folder, self.input_hash, job):
            return "has the receipt of another stage, input or Job"
        if receipt.manifest != digest:
            return "is not the one of its receipt: somebody changed it"
        if receipt.attempt > self._succeeded(stage) and receipt.attempt != self._unknown(stage):
            return f"has a receipt of {receipt.job}, which was not seen to succeed"
        if self._reported.get(folder, digest) != digest:
            return f"is not the one that the pod of {stage}'s Job reported: somebody changed it"
        return ""

    @property
    def in_doubt(self) -> bool:
        """Whether an attempt failed because a result was not what it should be."""
        failures = (stage.last_failure for stage in self.recorded)
        return any(failure is not None and failure.reason == "UnprovedResult" for failure in failures)

    @property
    def may_be_older(self) -> bool:
        """Whether the voice is from before there were receipts."""
        return self.voice.created_at is not None and self.voice.created_at < self.key.since

    def older(self, folder: StageFolder, manifest: bytes, modified: datetime | None) -> Proof | None:
        """Return the proof of a result from before there were receipts; None: it may be younger.

        Ages are those of the API server and of the object store, which nobody who may write can set.
        """
        if not self.may_be_older:
            return None
        before = modified is not None and modified < self.key.since
        return Proof(folder, "", 0, digest_of_bytes(manifest)) if before or self._has_older_job(folder) else None

    def _has_older_job(self, folder: StageFolder) -> bool:
        """Return whether the Job that succeeded was made before there were receipts."""
        jobs = [job for job in self._of(STAGE_OF[folder]) if job.state == "Succeeded" and job.created_at is not None]
        return any(job.created_at is not None and job.created_at < self.key.since for job in jobs[-1:])

    def _succeeded(self, stage: StageName) -> int:
        """Return the newest attempt that succeeded: as its Job says, or as was recorded of a Job that is gone; 0: none.

        One that vanished, or was deleted while it ran, may have succeeded; its receipts tell. One that failed has not.
        """
        jobs = self._of(stage)
        newest = max((job.attempt for job in jobs if job.state == "Succeeded"), default=0)
        record = next((one for one in self.recorded if one.name == stage), None)
        if record is None or any(job.attempt == record.attempt for job in jobs):
            return newest
        failed = record.last_failure is not None and record.last_failure.attempt == record.attempt
        return newest if failed else max(newest, record.attempt)

    def _unknown(self, stage: StageName) -> int:
        """Return the attempt after all that are known.

        Its Job may have come, succeeded and gone before a status named it, while the operator was cut off. That it was
        made is certain: only the Secret of an attempt has the key that its receipt is by.
        """
        known = [job.attempt for job in self._of(stage)]
        known += [record.attempt for record in self.recorded if record.name == stage]
        return max(known, default=0) + 1

    @cached_property
    def _reported(self) -> dict[StageFolder, str]:
        """Return the manifests that the pods of the newest attempts reported when they ended."""
        found: dict[StageFolder, str] = {}
        for stage in STAGES:
            jobs = [job for job in self._of(stage) if job.state == "Succeeded"]
            if not jobs or not jobs[-1].report:
                continue
            try:
                document: Any = json.loads(jobs[-1].report)
                read = Result.read(jobs[-1].report, jobs[-1].name)
            except (ValueError, InvalidDocument):
                continue
            if has_tag(document, self._key(stage, jobs[-1].attempt)) and read.input_hash == self.input_hash:
                found |= {name: read.manifests[name] for name in FOLDERS[stage] if name in read.manifests}
        return found

    def _of(self, stage: StageName) -> list[ObservedJob]:
        jobs = (job for job in self.jobs if job.stage == stage and job.input_hash == self.input_hash)
        return sorted(jobs, key=lambda job: job.attempt)

    def _key(self, stage: StageName, attempt: int) -> bytes:
        return self.key.attempt_key(self.voice.uid, self.input_hash, stage, attempt)


def chain_problems(proofs: Mapping[StageFolder, Proof]) -> dict[StageFolder, str]:
    """Return what was made from other results than the ones at hand, as ends of sentences about the manifests."""
    problems: dict[StageFolder, str] = {}
    for folder, proof in proofs.items():
        changed = [name for name, found in proofs.items() if proof.inputs.get(name, found.manifest) != found.manifest]
        missing = NEEDS[folder] - proof.inputs.keys() if proof.attempt else set()
        if changed:
            problems[folder] = f"was made from another result of stage {changed[0]}"
        elif missing:
            problems[folder] = f"does not say from which result of stage {min(missing)} it was made"
    return problems


def inputs_of(stage: StageName, proofs: Mapping[StageFolder, Proof]) -> dict[str, str]:
    """Return the manifests that the Job of a stage may use of those before it, by their folders."""
    earlier = STAGES[: STAGES.index(stage)]
    return {folder: proof.manifest for folder, proof in proofs.items() if STAGE_OF[folder] in earlier}


def is_whole(proofs: Iterable[Proof]) -> bool:
    """Return whether these are the proofs of all stages, in order, each of what the next ones were made from."""
    found = {proof.folder: proof for proof in proofs}
    return tuple(found) == CHAIN and not chain_problems(found)


def digest_of_bytes(data: bytes) -> str:
    """Return ``sha256:<64 hex>``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
