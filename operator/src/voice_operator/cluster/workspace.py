"""Reads a voice's workspace in the object store: stage manifests (commit points) and progress."""

from collections.abc import Collection

from voice_operator.api.voice_status import GateVerdict, Progress, StageName
from voice_operator.cluster.store import Store
from voice_operator.documents import ProgressDocument, StageManifest
from voice_operator.errors import InvalidDocument, StoreError
from voice_operator.reconcile.observed import StageFolder, StageOutput

PROGRESS_FOLDERS: dict[StageName, tuple[str, ...]] = {
    "prepare": ("prepare",),
    "train": ("train", "features"),
    "evaluate": ("evaluate",),
}


class Workspace:
    """The folder of one input hash."""

    def __init__(self, store: Store, uri: str, input_hash: str, bundle_uri: str) -> None:
        self._store = store
        self._uri = uri
        self._input_hash = input_hash
        self._bundle_uri = bundle_uri

    async def outputs(
        self, *, done: Collection[StageName], running: Collection[StageName], published: bool
    ) -> dict[StageFolder, StageOutput]:
        """Return the manifests that matter, in order, up to the first stage without one.

        ``done`` stages are recorded already, ``running`` ones have not committed, ``published`` voices need no reading.

        Raises:
            StoreError: the store does not answer.
            InvalidDocument: a manifest is not one.
        """
        found: dict[StageFolder, StageOutput] = {}
        for stage in ("prepare", "train"):
            if stage in done:
                continue
            output = None if stage in running else await self._output(stage)
            if output is None:
                return found
            found[stage] = output
        if "evaluate" in running or (published and "evaluate" in done):
            return found
        evaluated = await self._output("evaluate")
        if evaluated is None:
            return found
        found["evaluate"] = evaluated
        if evaluated.passed and (publication := await self._output("publish")) is not None:
            self._check_publication(publication)
            found["publish"] = publication
        return found

    async def progress(self, stage: StageName) -> Progress | None:
        """Return the progress of the running stage; None where there is no valid document."""
        for folder in PROGRESS_FOLDERS[stage]:
            uri = f"{self._uri}/{folder}/progress.json"
            try:
                data = await self._store.read(uri)
                document = ProgressDocument.read(data, uri) if data is not None else None
            except (StoreError, InvalidDocument):
                document = None  # shown to people only; no decision depends on it
            if document is not None:
                return Progress(
                    stage=folder, percent=document.percent, epoch=document.epoch, eta_seconds=document.eta_seconds
                )
        return None

    async def _output(self, stage: StageFolder) -> StageOutput | None:
        uri = f"{self._uri}/{stage}/manifest.json"
        data = await self._store.read(uri)
        if data is None:
            return None
        manifest = StageManifest.read(data, uri)
        if manifest.input_hash != self._input_hash or manifest.stage != stage:
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
                GateVerdict(metric=g.metric, min=g.min, max=g.max, value=g.value, passed=g.passed)
                for g in summary.gates
            ),
            uri=summary.uri.rstrip("/"),
            digest=summary.digest,
            size=summary.size,
        )

    def _check_publication(self, publication: StageOutput) -> None:
        """Raise InvalidDocument unless the stage published to the folder that the job document names."""
        if publication.uri != self._bundle_uri or not publication.digest:
            raise InvalidDocument(
                f"{self._uri}/publish/manifest.json: summary.uri must be {self._bundle_uri} with a digest, "
                f"found {publication.uri or 'none'}"
            )
