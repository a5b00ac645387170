"""Reads a voice's workspace in the object store: stage manifests (commit points), their receipts, and progress."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from voice_operator.api.voice_status import (
    STAGES,
    ClipFinding,
    GateVerdict,
    PreparedRecordings,
    Progress,
    StageName,
)
from voice_operator.cluster.store import Store
from voice_operator.documents import ProgressDocument, StageManifest, Summary
from voice_operator.errors import InvalidDocument, StoreError
from voice_operator.reconcile.observed import Proof, StageFolder, StageOutput
from voice_operator.reconcile.proofs import CHAIN, FOLDERS, Verifier, chain_problems, digest_of_bytes

PROGRESS_FOLDERS: dict[StageName, tuple[str, ...]] = {
    "prepare": ("prepare",),
    "train": ("train", "features"),
    "evaluate": ("evaluate",),
}


MEMO = 50_000  # proofs that are remembered

Memo = dict[tuple[str, str], Proof]  # by the manifest's URI and the voice's UID


@dataclass
class Results:
    """The results of stages: proved ones, and why others do not count."""

    outputs: dict[StageFolder, StageOutput] = field(default_factory=dict)
    proofs: dict[StageFolder, Proof] = field(default_factory=dict)
    unproved: dict[StageFolder, str] = field(default_factory=dict)

    def refuse(self, folder: StageFolder, why: str) -> None:
        """Let a result count as absent."""
        self.unproved[folder] = why
        self.outputs.pop(folder, None)
        self.proofs.pop(folder, None)


class Workspace:
    """The folder of one input hash."""

    def __init__(self, store: Store, uri: str, bundle_uri: str, verifier: Verifier, memo: Memo) -> None:
        self._store = store
        self._uri = uri
        self._bundle_uri = bundle_uri
        self._verifier = verifier
        self._memo = memo

    async def results(
        self,
        *,
        done: Collection[StageName],
        running: Collection[StageName],
        published: bool,
        is_present: Callable[[StageOutput], bool],
    ) -> Results:
        """Return the results that matter, in order, up to the first stage without a proved one.

        ``done`` stages are recorded already, ``running`` ones have not committed, ``published`` voices need no reading.
        What a done stage left is read once and remembered; again before a voice is published, and after a stage that
        could not use it.
        ``is_present`` tells whether an evaluation is for the present gates and sentences.

        Raises:
            StoreError: the store does not answer.
            InvalidDocument: a proved manifest is not one.
        """
        results = Results()
        if published and "evaluate" in done:
            return results
        if "evaluate" in done and not running and (verdict := await self._refusal(is_present)) is not None:
            results.outputs["evaluate"] = verdict
            return results
        for stage in STAGES:
            if stage in running:
                break
            recorded = stage in done and stage != "evaluate"
            if recorded and running:
                continue
            if not await (self._add_done(stage, results) if recorded else self._add(stage, results)):
                break
        if "publish" in results.outputs and not published:
            await self._read_again(results)
        _check_chain(results)
        return results

    async def _read_again(self, results: Results) -> None:
        """Read also what was remembered: a voice is about to be published."""
        for folder in CHAIN:
            if folder not in results.outputs and not await self._add_folder(folder, results):
                results.refuse(folder, results.unproved.get(folder, f"{self._manifest(folder)} is gone"))

    async def _refusal(self, is_present: Callable[[StageOutput], bool]) -> StageOutput | None:
        """Return a recorded evaluation whose gates failed: what forbids needs no proof."""
        data = await self._read(self._manifest("evaluate"))
        try:
            output = None if data is None else self._output("evaluate", data)
        except InvalidDocument:
            return None
        return output if output is not None and not output.passed and is_present(output) else None

    async def _add(self, stage: StageName, results: Results) -> bool:
        """Add what a stage left that is not recorded as done; return whether that is a proved result."""
        *earlier, last = FOLDERS[stage] if stage != "evaluate" else ("evaluate",)
        if earlier and await self._read(self._manifest(last)) is None:
            return False
        for folder in (*earlier, last):
            if not await self._add_folder(folder, results):
                return False
        if stage == "evaluate" and results.outputs["evaluate"].passed and await self._add_folder("publish", results):
            self._check_publication(results.outputs["publish"])
        return True

    async def _add_done(self, stage: StageName, results: Results) -> bool:
        """Add the proofs of what a stage left that is recorded as done; return whether there are some."""
        for folder in FOLDERS[stage]:
            known = self._memo.get(self._memo_key(folder))
            if known is not None and not self._verifier.in_doubt:
                results.proofs[folder] = known
            elif not await self._add_folder(folder, results):
                results.unproved.setdefault(folder, f"{self._manifest(folder)} is gone")
                return False
        return True

    async def _add_folder(self, folder: StageFolder, results: Results) -> bool:
        uri = self._manifest(folder)
        data = await self._read(uri)
        if data is None:
            return False
        proof = await self._proof(folder, data)
        if isinstance(proof, str):
            results.refuse(folder, f"{uri} {proof}; it does not count. Find out who may write to the object store")
            return False
        if len(self._memo) >= MEMO:
            self._memo.clear()
        self._memo[self._memo_key(folder)] = proof
        results.outputs[folder], results.proofs[folder] = self._output(folder, data), proof
        return True

    async def _proof(self, folder: StageFolder, manifest: bytes) -> Proof | str:
        known = self._memo.get(self._memo_key(folder))
        if known is not None and known.manifest == digest_of_bytes(manifest):
            return known
        receipt = await self._read(f"{self._uri}/{folder}/receipt.json")
        proof = self._verifier.proof(folder, manifest, receipt)
        if receipt is not None or not self._verifier.may_be_older:
            return proof
        modified = await self._store.modified(self._manifest(folder), self._verifier.voice.namespace)
        return self._verifier.older(folder, manifest, modified) or proof

    async def _read(self, uri: str) -> bytes | None:
        return await self._store.read(uri, self._verifier.voice.namespace)

    def _manifest(self, folder: StageFolder) -> str:
        return f"{self._uri}/{folder}/manifest.json"

    def _memo_key(self, folder: StageFolder) -> tuple[str, str]:
        return self._manifest(folder), self._verifier.voice.uid

    async def progress(self, stage: StageName) -> Progress | None:
        """Return the progress of the running stage; None where there is no valid document."""
        for folder in PROGRESS_FOLDERS[stage]:
            uri = f"{self._uri}/{folder}/progress.json"
            try:
                data = await self._read(uri)
                document = ProgressDocument.read(data, uri) if data is not None else None
            except (StoreError, InvalidDocument):
                document = None  # shown to people only; no decision depends on it
            if document is not None:
                return Progress(
                    stage=folder, percent=document.percent, epoch=document.epoch, eta_seconds=document.eta_seconds
                )
        return None

    def _output(self, stage: StageFolder, data: bytes) -> StageOutput:
        uri = self._manifest(stage)
        manifest = StageManifest.read(data, uri)
        if manifest.input_hash != self._verifier.input_hash or manifest.stage != stage:
            raise InvalidDocument(
                f"{uri}: it is the manifest of stage {manifest.stage} for input {manifest.input_hash}"
            )
        summary = manifest.summary
        return StageOutput(
            started_at=manifest.started_at,
            completed_at=manifest.completed_at,
            passed=stage != "evaluate" or summary.passed is True,
            scores=summary.scores,
            intervals=summary.intervals,
            evaluation_hash=manifest.evaluation_hash,
            gates=tuple(
                GateVerdict(metric=g.metric, min=g.min, max=g.max, value=g.value, passed=g.passed, verdict=g.verdict)
                for g in summary.gates
            ),
            gates_from=summary.gates_from,
            uri=summary.uri.rstrip("/"),
            digest=summary.digest,
            size=summary.size,
            recordings=_recordings(summary) if stage == "prepare" else None,
        )

    def _check_publication(self, publication: StageOutput) -> None:
        """Raise InvalidDocument unless the stage published to the folder that the job document names."""
        if publication.uri != self._bundle_uri or not publication.digest:
            raise InvalidDocument(
                f"{self._uri}/publish/manifest.json: summary.uri must be {self._bundle_uri} with a digest, "
                f"found {publication.uri or 'none'}"
            )


def _recordings(summary: Summary) -> PreparedRecordings | None:
    """Return what prepare says of the recordings; None: by a trainer that judges none."""
    if summary.findings is None:
        return None
    return PreparedRecordings(
        clips=summary.clips,
        rejected=summary.rejected,
        denoised=summary.denoised,
        transcribed=summary.transcribed,
        speech_seconds=summary.speech_seconds,
        findings=tuple(
            ClipFinding(clip=found.clip, reason=found.reason, message=found.message, rejected=found.rejected)
            for found in summary.findings
        ),
    )


def _check_chain(results: Results) -> None:
    """Refuse what was made from another result than the one at hand, and what follows from it."""
    problems = chain_problems(results.proofs)
    first = next((folder for folder in CHAIN if folder in problems), None)
    if first is None:
        return
    for folder in CHAIN[CHAIN.index(first) :]:
        if folder in results.proofs:
            why = problems.get(folder, f"was made from a result of stage {first} that does not count")
            results.refuse(folder, f"the result of stage {folder} {why}; the stage runs again")
