"""Stage publish: assemble the voice bundle and upload it, its manifest last."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from sovits_core.official.exporting import read_voice, write_official
from voice_store import DigestMismatch, NotFound, Store, open_store
from voice_trainer.errors import Transient
from voice_trainer.job.base import JobBase
from voice_trainer.job.bundle import ADAPTER_CONFIG, ADAPTER_WEIGHTS, BUNDLE_SCHEMA, PROMPT, VOICE, VOICE_SCHEMA
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import FileDigest, StageManifest, Summary, digest_of
from voice_trainer.job.workspace import JSON, MANIFEST, Workspace
from voice_trainer.stages.provenance import provenance

logger = logging.getLogger(__name__)

PROVENANCE = "provenance.json"
OFFICIAL = "official"
MADE_BY = ("prepare", "train", "evaluate")
EVALUATED = (PROMPT, "reference.flac", "report.json", "report.html")


def publish(job: TrainingJob, workspace: Workspace) -> Summary | None:
    """Put the bundle at ``store.revision``; ``None`` when the gates did not pass, and then nothing is published.

    Raises:
        Transient: what the store holds is not what was uploaded.
        OfficialFileRejected: official files are asked for, and a weight does not fit float16.
    """
    evaluate = workspace.manifest("evaluate")
    evaluated = workspace.results("evaluate")  # explains itself where the stage has not finished
    if evaluate is None or evaluate.summary.get("passed") is not True:
        logger.info("publish: the gates did not pass, so nothing is published: %s", _failed_gates(evaluate))
        return None
    folder = workspace.scratch / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    base = workspace.base_of_features()
    _assemble(folder, job, evaluate, base, trained=workspace.results("train"), evaluated=evaluated)
    if job.publish.official:
        write_official(read_voice(folder), folder, base, folder / OFFICIAL, logger.info)
    stages = {name: found for name in MADE_BY if (found := workspace.manifest(name)) is not None}
    statement = provenance(job, {name: one.sha256 for name, one in _digests(folder).items()}, base.digest, stages)
    (folder / PROVENANCE).write_bytes(statement)
    manifest = _manifest(folder, job.revision)
    store = open_store(job.store.revision)
    _upload(store, folder, manifest)
    digest = digest_of(folder / MANIFEST)
    size = digest.size + sum(entry["size"] for entry in manifest["files"].values())
    return {"uri": store.uri, "digest": f"sha256:{digest.sha256}", "size": size}


def _failed_gates(evaluate: StageManifest | None) -> str:
    gates = evaluate.summary.get("gates", []) if evaluate else []
    return "; ".join(f"{gate['metric']} is {gate['value'] or 'not measured'}" for gate in gates if not gate["passed"])


def _assemble(
    folder: Path, job: TrainingJob, evaluate: StageManifest, base: JobBase, *, trained: Path, evaluated: Path
) -> None:
    (folder / "samples").mkdir(parents=True)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        shutil.copyfile(trained / name, folder / name)
    for name in EVALUATED:
        shutil.copyfile(evaluated / name, folder / name)
    for sample in sorted((evaluated / "samples").glob("*.flac")):
        shutil.copyfile(sample, folder / "samples" / sample.name)
    voice = _voice(job, evaluate, base, adapter=digest_of(folder / ADAPTER_WEIGHTS))
    (folder / VOICE).write_text(json.dumps(voice, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _voice(job: TrainingJob, evaluate: StageManifest, base: JobBase, adapter: FileDigest) -> dict[str, Any]:
    return {
        "schema": VOICE_SCHEMA,
        "voice": job.voice.model_dump(),
        "revision": job.revision,
        "inputHash": job.input_hash,
        "language": job.language,
        **({"locale": job.locale} if job.locale else {}),
        "sampleRate": base.document.sample_rate,
        "base": {"name": base.document.name, "digest": base.digest},
        "symbolsSha256": base.document.symbols_sha256,
        "adapter": {"sha256": adapter.sha256, "rank": job.training.rank},
        "scores": evaluate.summary["scores"],
        "gates": evaluate.summary["gates"],
        "consent": job.consent.model_dump(mode="json", by_alias=True) if job.consent else {},
        "source": job.source,
        "operator": job.operator,
        # Not the present: publishing the same results twice must give the same bytes, and so the same digest.
        "createdAt": evaluate.completed_at,
    }


def _manifest(folder: Path, revision: str) -> dict[str, Any]:
    """Write the bundle's manifest over everything else in the folder, and return it."""
    files = {name: digest.model_dump() for name, digest in _digests(folder).items()}
    manifest = {"schema": BUNDLE_SCHEMA, "revision": revision, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _digests(folder: Path) -> dict[str, FileDigest]:
    return {
        path.relative_to(folder).as_posix(): digest_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _upload(store: Store, folder: Path, manifest: dict[str, Any]) -> None:
    """Upload and read back every file, then the manifest: whoever finds one finds all files that it names."""
    document = (folder / MANIFEST).read_bytes()
    if _stored_manifest(store) == document:
        return
    store.delete(MANIFEST)  # an older bundle of this name must not stand over files that are being replaced
    for name in manifest["files"]:
        try:
            store.upload_verified(name, folder / name)
        except DigestMismatch as error:
            raise Transient(str(error), reason="CorruptArtifact") from error
    store.write(MANIFEST, document, JSON)


def _stored_manifest(store: Store) -> bytes:
    try:
        return store.read(MANIFEST)
    except NotFound:
        return b""
