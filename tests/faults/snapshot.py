"""A voice and everything that belongs to it, in a form in which two lives can be compared."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.faults.client import Client
from tests.faults.node import VOICE_LABEL
from tests.support.voices import Object

from voice_operator.cluster.signing import key_from, sealed_revision
from voice_operator.settings import Settings

# Of one moment or one object; never of the state that was reached. `audit` holds ids and positions in the log.
DROPPED = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime", "selfLink", "generation"}
    | {"objects", "bytes"}  # that were erased: a crash forgets what it has counted
    | {"audit"}
)
# How often something was tried, when it was first seen, and what was made and erased before: the way, not the end.
HISTORY = frozenset(
    {"attempt", "counted", "job", "failures", "lastFailure", "previousRevision", "observedGeneration", "startedAt"}
    | {"inputs", "erased"}
    | {"capacity", "evaluationHash"}  # of attempts that are over: what is published is not evaluated again
)

SIGNING_KEY = str(Settings.model_fields["signing_key_secret"].default)
MAX_LENGTH = 300  # of a value in a message

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|\+00:00)")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ATTEMPT = re.compile(r"-(prepare|train|evaluate)-\d+")


def snapshot(client: Client, voice: str, listed: list[Object]) -> Object:
    """Return status, revisions, Jobs, documents and the entry in the server's list, without names, ids and times.

    Seals that hold are said to hold: each namespace has a key of its own, and names are part of what is signed.
    Names of voices must hold a letter beyond f, so that no digest contains them.
    """
    labels = f"{VOICE_LABEL}={voice}"
    revisions = client.objects("voicerevisions", labels)
    found = {
        "status": (client.find("voicemodels", voice) or {}).get("status"),
        "revisions": _by_name(revisions),
        "jobs": {name: _outcome(job) for name, job in _by_name(client.objects("jobs", labels)).items()},
        "documents": {name: _parsed(one) for name, one in _by_name(client.objects("configmaps", labels)).items()},
        "listed": [entry for entry in listed if entry["id"] == f"{client.namespace}/{voice}"],
    }
    return _anonymous(found, {**_sealed_values(client, revisions), voice: "VOICE", client.namespace: "NAMESPACE"})


def end_of(client: Client, voice: str, listed: list[Object]) -> Object:
    """Return where the voice arrived, whatever the way: its status without history, and what is served."""
    found = snapshot(client, voice, listed)
    end = {"status": _without(found["status"], HISTORY), "listed": found["listed"]}
    return json.loads(_ATTEMPT.sub(r"-\1-N", json.dumps(end)))


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Name each field that differs, with both values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted({*expected, *found})
        return [line for key in keys for line in differences(expected.get(key), found.get(key), f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for number, (old, new) in pairs for line in differences(old, new, f"{path}[{number}]")]
    return [] if expected == found else [f"{path}: expected {_short(expected)}, found {_short(found)}"]


def _sealed_values(client: Client, revisions: list[Object]) -> dict[str, str]:
    """Name each seal that holds, and the digests below it that cover names: of the spec, and of what publish wrote."""
    names: dict[str, str] = {}
    for item in revisions:
        sealed = sealed_revision(item, key_from(client.get("secrets", SIGNING_KEY)))
        if sealed is None or not sealed.annotated:
            continue
        names |= {sealed.seal: "A SEAL THAT HOLDS", sealed.spec_digest: "DIGEST OF THE SPEC"}
        published = (proof["manifest"] for proof in item["spec"]["provenance"] if proof["stage"] == "publish")
        names |= dict.fromkeys(published, "DIGEST OF WHAT WAS PUBLISHED")
    return names


def _outcome(job: Object) -> list[str]:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return [one["type"] for one in conditions if one["status"] == "True" and one["type"] in {"Complete", "Failed"}]


def _by_name(objects: list[Object]) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects}


def _parsed(config_map: Object) -> Object:
    """A ConfigMap whose JSON can be compared field by field."""
    texts = config_map["data"].items()
    return config_map | {"data": {key: json.loads(text) if key.endswith(".json") else text for key, text in texts}}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def _anonymous(document: Any, names: Mapping[str, str]) -> Any:
    text = json.dumps(_without(document, DROPPED), sort_keys=True)
    for name, replacement in names.items():
        text = text.replace(name, replacement)
    return json.loads(_UID.sub("UID", _TIME.sub("TIME", text)))


def _without(document: Any, keys: frozenset[str]) -> Any:
    if isinstance(document, dict):
        return {key: _without(value, keys) for key, value in document.items() if key not in keys}
    return [_without(value, keys) for value in document] if isinstance(document, list) else document
