"""The files of a job: local scratch for work, the store for everything that another pod needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from sovits_core.validation import one_line
from voice_store import NotFound, Store, StoreError, StoreUnavailable, TooLarge, open_store
from voice_trainer.errors import BadData, Refused, Transient, UsageError
from voice_trainer.job.base import JobBase
from voice_trainer.job.display import Display
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.progress import ProgressWriter
from voice_trainer.job.receipts import digest_of_bytes, open_prover
from voice_trainer.job.results import (
    Failure,
    FileDigest,
    Progress,
    StageManifest,
    Summary,
    digest_of,
    now,
    to_json,
    tools,
)
from voice_trainer.job.signals import TerminationSignal

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RECEIPT = "receipt.json"
EVALUATING = frozenset(["evaluate", "publish"])  # the stages whose results depend on gates and sentences
JSON = "application/json"


class Workspace:
    """The files of one job: ``<scratch>/<stage>/…`` here, ``<workspace>/<stage>/…`` in the store."""

    def __init__(self, job: TrainingJob, scratch: Path, termination: TerminationSignal, display: Display) -> None:
        """Open the store that the job names; nothing is read yet.

        Raises:
            Misconfigured: the store's URI or the environment is wrong.
            UsageError: the job asks for receipts, and its keys cannot be read.
        """
        self.store: Store = open_store(job.store.workspace)
        self.scratch = scratch / job.input_hash
        self.termination = termination
        self._display = display
        self._job = job
        self._input_hash = job.input_hash
        self._ready: set[str] = set()
        self._prover = open_prover(job)
        self._inputs = job.receipts.inputs if job.receipts else {}
        self._digests: dict[str, str] = {}  # of the manifests that count, by stage
        self._read: set[str] = set()  # stages whose results the current one has read

    @cached_property
    def base(self) -> JobBase:
        """The base that the job names, opened at its first use."""
        return JobBase(self._job.base.uri, self._job.base.digest, self.scratch)

    def base_of_features(self) -> JobBase:
        """Return the base, once it is known to be the one whose tokens stage features wrote.

        Raises:
            Refused: ``BaseChanged``; tokens of one base mean nothing to another.
        """
        manifest = self.manifest("features")
        found = manifest.summary.get("baseDigest") if manifest else None
        if found is not None and found != self.base.digest:
            raise Refused(
                f"the features were made with the base {found}, but {self._job.base.uri} is now {self.base.digest}; "
                "start again with a new inputHash",
                reason="BaseChanged",
            )
        return self.base

    def folder(self, stage: str) -> Path:
        """Return the stage's local folder, made if necessary."""
        folder = self.scratch / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def progress(self, stage: str) -> ProgressWriter:
        """Return what reports how far the stage is, to people at once and to the operator through the store."""

        def put(progress: Progress) -> None:
            self._display.show(progress)
            try:
                self.store.write(f"{stage}/progress.json", to_json(progress), JSON)
            except StoreUnavailable as error:  # a missed figure must not end an hour of training
                logger.warning("progress was not stored: %s", error)

        return ProgressWriter(stage, put)

    def manifest(self, stage: str) -> StageManifest | None:
        """Return the manifest of a finished stage for this job's input and evaluation, or ``None``.

        Where the job asks for receipts, one that is not proved counts as absent.

        Raises:
            BadData: ``UnprovedResult``; that of an earlier Job is not the one that the operator has verified.
        """
        data = self._read_or_none(f"{stage}/{MANIFEST}")
        digest = "" if data is None else digest_of_bytes(data)
        if self._inputs.get(stage, digest) != digest:
            raise BadData(
                f"{self.store.uri}/{stage}/{MANIFEST} is not the result that the operator has verified: somebody "
                "changed it; the stage must run again",
                reason="UnprovedResult",
            )
        if data is None:
            return None
        try:
            manifest = StageManifest.model_validate_json(data)
        except ValidationError as error:
            logger.warning(
                "%s/%s/%s is no stage manifest, the stage runs again: %s",
                self.store.uri,
                stage,
                MANIFEST,
                one_line(error),
            )
            return None
        same_input = manifest.stage == stage and manifest.input_hash == self._input_hash
        same_evaluation = self._evaluation_hash(stage) in {"", manifest.evaluation_hash}
        if not (same_input and same_evaluation and self._is_proved(stage, digest)):
            return None
        self._digests[stage] = digest
        self._read.add(stage)
        return manifest

    def results(self, stage: str) -> Path:
        """Return the local folder with the files of a finished stage, fetched and checked where necessary.

        Raises:
            UsageError: that stage has not finished.
            Transient: a file in the store has another digest than in the manifest.
        """
        folder = self.folder(stage)
        if stage in self._ready:
            self._read.add(stage)
            return folder
        manifest = self.manifest(stage)
        if manifest is None:
            raise UsageError(
                f"stage {stage} has not finished for {self._input_hash[:8]}; run it first: --stages {stage},…",
                reason="StageMissing",
            )
        for name, expected in manifest.files.items():
            path = folder / name
            if path.is_file() and digest_of(path) == expected:
                continue
            with suppress(TooLarge):  # what is there of it has another digest
                self.store.download(f"{stage}/{name}", path, limit=expected.size)
            if not path.is_file() or digest_of(path) != expected:
                raise Transient(
                    f"{self.store.uri}/{stage}/{name} is not the file of the manifest", reason="CorruptArtifact"
                )
        self._ready.add(stage)
        return folder

    def begin(self, stage: str) -> Path:
        """Return an empty local folder for a stage that is about to run; its last manifest and failure go."""
        folder = self.folder(stage)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        # Files are replaced one by one: an earlier manifest must not stand over them.
        self.store.delete(f"{stage}/{MANIFEST}")
        self.store.delete(f"{stage}/{RECEIPT}")
        self.store.delete(f"{stage}/failure.json")
        self._digests.pop(stage, None)
        self._read = set()
        return folder

    def commit(self, stage: str, summary: Summary, *, started_at: str) -> None:
        """Upload everything in the stage's local folder, then the manifest that makes it count."""
        folder = self.folder(stage)
        files: dict[str, FileDigest] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                files[name] = digest_of(path)
                self.store.upload(f"{stage}/{name}", path)
        manifest = StageManifest(
            stage=stage,
            input_hash=self._input_hash,
            evaluation_hash=self._evaluation_hash(stage),
            started_at=started_at,
            completed_at=now(),
            files=files,
            summary=summary,
            tools=tools(),
        )
        document = to_json(manifest)
        digest = digest_of_bytes(document)
        self.store.write(f"{stage}/{MANIFEST}", document, JSON)
        if self._prover is not None:
            inputs = {name: self._digests[name] for name in sorted(self._read - {stage}) if name in self._digests}
            self.store.write(f"{stage}/{RECEIPT}", self._prover.receipt(stage, digest, inputs), JSON)
        self._digests[stage] = digest
        self._ready.add(stage)

    def result(self, stages: Iterable[str]) -> bytes | None:
        """Return the message of a run that succeeded, with its stages' manifests; None: the job asks for none."""
        if self._prover is None:
            return None
        return self._prover.result({stage: self._digests[stage] for stage in stages if stage in self._digests})

    def tag(self, content: str) -> str:
        """Return what proves a content to later attempts of the stage; empty where the job asks for no receipts."""
        return self._prover.tag(content) if self._prover is not None else ""

    def is_own(self, content: str, tag: str) -> bool:
        """Return whether an attempt of this stage wrote the content; always, where the job asks for no receipts."""
        return self._prover is None or self._prover.is_own(content, tag)

    def _is_proved(self, stage: str, digest: str) -> bool:
        """Return whether a manifest is the operator's word, or an attempt's of this Job's stage."""
        if self._prover is None or stage in self._inputs:
            return True
        receipt = self._read_or_none(f"{stage}/{RECEIPT}")
        problem = self._prover.problem(stage, digest, receipt, self._digests | self._inputs)
        if problem:
            logger.warning("%s/%s/%s %s; the stage runs again", self.store.uri, stage, MANIFEST, problem)
        return not problem

    def _read_or_none(self, key: str) -> bytes | None:
        try:
            return self.store.read(key)
        except NotFound:
            return None

    def _evaluation_hash(self, stage: str) -> str:
        """Return which evaluation the stage's manifest must name; empty: any."""
        return self._job.evaluation_hash if stage in EVALUATING else ""

    def record_failure(self, failure: Failure) -> None:
        """Store the failure with the stage's files; a store that fails too must not hide the first error."""
        try:
            self.store.write(f"{failure.stage}/failure.json", to_json(failure), JSON)
        except StoreError as error:
            logger.warning("the failure was not stored: %s", error)
