"""What the stages of a voice leave in the object store (docs/contracts.md), without any training."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from voice_trainer.job.receipts import Prover, digest_of_bytes

SCORES = {"pesq": "3.9", "stoi": "0.91"}
STARTED, COMPLETED = "2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z"


def results_of(
    document: Mapping[str, Any],
    stages: Iterable[str],
    secret: Mapping[str, Any],
    bundle: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """The objects of stages that succeed, by URI and in the order in which they are written.

    ``document`` is the job document, and ``secret`` has the keys by which the attempt proves what it made.

    ``bundle`` has the files of the voice's bundle. Without it there is a stand-in which depends on the input alone, so
    that voices of one input can be compared whatever their names.
    """
    store, objects = document["store"], dict[str, bytes]()
    prover, manifests = prover_of(document, secret), dict(document["receipts"]["inputs"])
    for stage in stages:
        summary: dict[str, Any] = {}
        if stage == "evaluate":
            summary = {"passed": True, "scores": SCORES}
        elif stage == "publish":
            files = bundle or {"manifest.json": json.dumps({"inputHash": document["inputHash"]}).encode()}
            objects |= {f"{store['revision']}/{name}": content for name, content in files.items()}
            digest = f"sha256:{hashlib.sha256(files['manifest.json']).hexdigest()}"
            size = sum(len(content) for content in files.values())
            summary = {"uri": store["revision"], "digest": digest, "size": size}
        manifest = {
            "schema": "voice.sovits.dev/stage/v1",
            "stage": stage,
            "inputHash": document["inputHash"],
            "evaluationHash": document["evaluationHash"] if stage in {"evaluate", "publish"} else "",
            "startedAt": STARTED,
            "completedAt": COMPLETED,
            "files": {},
            "summary": summary,
            "tools": {},
        }
        content = json.dumps(manifest).encode()
        objects[f"{store['workspace']}/{stage}/manifest.json"] = content
        digest = digest_of_bytes(content)
        objects[f"{store['workspace']}/{stage}/receipt.json"] = prover.receipt(stage, digest, manifests)
        manifests[stage] = digest
    return objects


def prover_of(document: Mapping[str, Any], secret: Mapping[str, Any]) -> Prover:
    """What signs for an attempt, given its job document and its Secret."""
    found = json.loads(base64.b64decode(secret["data"]["keys.json"]))["keys"]
    keys = {int(number): bytes.fromhex(key) for number, key in found.items()}
    return Prover(document["receipts"]["job"], document["attempt"]["number"], document["inputHash"], keys)


def stages_of(pod: Mapping[str, Any]) -> list[str]:
    """The stages that a Job's pod is told to run."""
    arguments = pod["spec"]["containers"][0]["args"]
    return str(arguments[arguments.index("--stages") + 1]).split(",")


def document_name_of(pod: Mapping[str, Any]) -> str:
    """The ConfigMap that holds the pod's job document."""
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "job")
    return str(volume["configMap"]["name"])
