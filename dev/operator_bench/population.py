"""Thousands of finished voices: one is taken through its life, the others are copies of it, and foreign Jobs beside."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.operator_bench.api import Api, Object, in_parallel, until
from dev.stage_results import document_name_of, results_of, stages_of
from voice_operator.api.voice_model import Consent
from voice_operator.api.voice_status import AuditState
from voice_operator.cluster.signing import key_from
from voice_operator.manifests.revision import sealed
from voice_operator.reconcile.audit import tagged
from voice_operator.reconcile.consent import consent_digest
from voice_operator.signing import SigningKey

NAMESPACE = "bench"
FOREIGN = "foreign"
TEMPLATE = "template"
SERVER = "default"
SIGNING_KEY = "voice-operator-signing-key"
API_VERSION = "voice.sovits.dev/v1alpha1"
STAGE_LABEL = "voice.sovits.dev/stage"
VOICE_LABEL = "voice.sovits.dev/voice-model"
SERVER_LABEL = "voice.sovits.dev/server"
TICK_SECONDS = 0.2
LIFE_SECONDS = 120.0
NOBODY = "bench.example.org/nobody"  # manages the foreign Jobs: the Job controller leaves them alone


def voice(name: str) -> Object:
    """A VoiceModel of the smallest kind, on the CPU; all have one input, and each a consent of its own."""
    return {
        "apiVersion": API_VERSION,
        "kind": "VoiceModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "language": "en",
            "dataset": {"uri": f"s3://voices/datasets/{NAMESPACE}/one", "digest": "sha256:" + "a" * 64},
            "consent": {
                "holder": "Alice A.",
                "statement": "I agree that my voice is trained and used.",
                "evidence": f"https://example.org/{name}.pdf",
            },
            "compute": {"gpus": 0},
        },
    }


def server() -> Object:
    """The VoiceServer of all voices."""
    metadata = {"name": SERVER, "namespace": NAMESPACE}
    spec = {"base": "tiny", "maxVoices": 10_000}
    return {"apiVersion": API_VERSION, "kind": "VoiceServer", "metadata": metadata, "spec": spec}


class Node:
    """Does what a kubelet and the trainer would, for the server's pod and for the template."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def raise_server(self) -> None:
        """Let the server's pods be ready at 127.0.0.1."""
        pods = await until(lambda: self._api.objects("pods", NAMESPACE, f"{SERVER_LABEL}={SERVER}"))
        up = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        address = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        for pod in pods:
            status = {"phase": "Running", "conditions": [up], **address}
            await self._api.merge("pods", NAMESPACE, pod["metadata"]["name"], {"status": status}, status=True)

    async def train_template(self) -> None:
        """Take the template through all its stages.

        Raises:
            DevError: it is not Ready after LIFE_SECONDS.
        """
        await self._api.create("voicemodels", voice(TEMPLATE))
        deadline = time.monotonic() + LIFE_SECONDS
        while not is_ready(found := await self._api.get("voicemodels", NAMESPACE, TEMPLATE)):
            if time.monotonic() > deadline:
                raise DevError(f"the template is not Ready after {LIFE_SECONDS:.0f} s: {found.get('status')}")
            for pod in await self._api.objects("pods", NAMESPACE, STAGE_LABEL):
                if pod["status"]["phase"] == "Pending":
                    await self._finish(pod)
            await asyncio.sleep(TICK_SECONDS)

    async def _finish(self, pod: Object) -> None:
        config_map = await self._api.get("configmaps", NAMESPACE, document_name_of(pod))
        document = json.loads(config_map["data"]["job.json"])
        secret = await self._api.get("secrets", NAMESPACE, document_name_of(pod))
        await asyncio.to_thread(_write_files, results_of(document, stages_of(pod), secret))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        container = {"name": "stage", "image": "trainer", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Succeeded", "containerStatuses": [container | {"state": ended}]}
        await self._api.merge("pods", NAMESPACE, pod["metadata"]["name"], {"status": status}, status=True)


async def copy_template(api: Api, bucket: Path, count: int) -> list[str]:
    """Create ``count`` finished voices with revision and bundle, all like the template; return their names."""
    template = await api.get("voicemodels", NAMESPACE, TEMPLATE)
    (revision,) = await api.objects("voicerevisions", NAMESPACE, f"{VOICE_LABEL}={TEMPLATE}")
    names = [f"voice{number:05}" for number in range(count)]
    key = key_from(await api.get("secrets", NAMESPACE, SIGNING_KEY))

    async def copy(name: str) -> None:
        twin = _renamed(template, name)
        uid = (await api.create("voicemodels", _without_status(twin)))["metadata"]["uid"]
        await api.apply_status("voicemodels", _with_status(_of_itself(twin, uid, key)))
        child = _renamed(_without_status(revision), name)
        child["metadata"]["ownerReferences"][0]["uid"] = uid
        await api.create("voicerevisions", sealed(child, key))
        await api.apply_status("voicerevisions", _renamed(_with_status(revision), name))

    await in_parallel(names, copy)
    await asyncio.to_thread(_copy_files, bucket / NAMESPACE, names)
    return names


async def create_foreign_jobs(api: Api, count: int) -> None:
    """Create Jobs of somebody else, of usual size, that nobody runs."""
    await api.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FOREIGN}})
    variables = [{"name": f"SETTING_{number}", "value": "of a usual length, such as this"} for number in range(20)]
    container = {"name": "main", "image": "example.org/nightly:1", "env": variables, "args": ["run", "--all"]}

    def job(number: int) -> Object:
        metadata = {"name": f"nightly-{number}", "namespace": FOREIGN, "labels": {"app": "nightly"}}
        template = {"metadata": {"labels": {"app": "nightly"}}}
        spec = {"template": template | {"spec": {"restartPolicy": "Never", "containers": [container]}}}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec | {"managedBy": NOBODY}}

    await in_parallel(range(count), lambda number: api.create("jobs", job(number)))


def is_ready(item: Object) -> bool:
    """Whether a resource has the condition Ready."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _without_status(item: Object) -> Object:
    metadata = item["metadata"]
    kept = {
        key: metadata[key]
        for key in ("name", "namespace", "labels", "finalizers", "ownerReferences")
        if key in metadata
    }
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": kept, "spec": item["spec"]}


def _with_status(item: Object) -> Object:
    return {key: item[key] for key in ("apiVersion", "kind", "metadata", "status")}


def _of_itself(item: Object, uid: str, key: SigningKey) -> Object:
    """The voice with a status that is its own: what was trained for another UID would be looked at, and told, anew."""
    status = item["status"]
    consent = consent_digest(Consent.model_validate(item["spec"]["consent"]))
    audit = AuditState.model_validate(status["audit"] | {"consent": consent})
    signed = tagged(audit, uid, key.key_for("audit-state")).document()
    return item | {"status": status | {"inputsOf": uid, "audit": signed}}


def _renamed(document: Any, name: str) -> Any:
    """The document of another voice: names, URIs and sentences all hold the voice's name."""
    return json.loads(json.dumps(document).replace(TEMPLATE, name))


def _write_files(objects: dict[str, bytes]) -> None:
    for uri, content in objects.items():
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _copy_files(folder: Path, names: list[str]) -> None:
    files = [path for path in (folder / TEMPLATE).rglob("*") if path.is_file()]
    for name in names:
        for path in files:
            target = Path(str(path).replace(TEMPLATE, name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
