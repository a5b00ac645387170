"""What the stages of a voice leave in the object store (docs/contracts.md), without any training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

SCORES = {"pesq": "3.9", "stoi": "0.91"}
STARTED, COMPLETED = "2026-11-23T06:00:00Z", "2026-11-23T06:01:00Z"


def results_of(document: Mapping[str, Any], stages: Iterable[str]) -> dict[str, bytes]:
    """The objects of stages that succeed, by URI and in the order in which they are written.

    A bundle depends on the input alone, so that voices of one input can be compared whatever their names.
    """
    store, objects = document["store"], {}
    for stage in stages:
        summary: dict[str, Any] = {}
        if stage == "evaluate":
            summary = {"passed": True, "scores": SCORES}
        elif stage == "publish":
            bundle = json.dumps({"inputHash": document["inputHash"]}).encode()
            objects[f"{store['revision']}/manifest.json"] = bundle
            digest = f"sha256:{hashlib.sha256(bundle).hexdigest()}"
            summary = {"uri": store["revision"], "digest": digest, "size": len(bundle)}
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
        objects[f"{store['workspace']}/{stage}/manifest.json"] = json.dumps(manifest).encode()
    return objects


def stages_of(pod: Mapping[str, Any]) -> list[str]:
    """The stages that a Job's pod is told to run."""
    arguments = pod["spec"]["containers"][0]["args"]
    return str(arguments[arguments.index("--stages") + 1]).split(",")


def document_name_of(pod: Mapping[str, Any]) -> str:
    """The ConfigMap that holds the pod's job document."""
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "job")
    return str(volume["configMap"]["name"])
