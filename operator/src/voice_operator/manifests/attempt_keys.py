"""The Secret of an attempt: keys by which the trainer proves what it made, and perhaps keys of the store."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from voice_operator.api.voice_status import StageName
from voice_operator.documents import KEYS_SCHEMA
from voice_operator.manifests.labels import VOICE_MODEL, owner, recommended
from voice_operator.reconcile.names import document_name
from voice_operator.reconcile.observed import Voice
from voice_operator.signing import SigningKey

FOLDER = "/etc/voice-keys"
FILE = "keys.json"
MAX_KEYS = 1000  # of the newest attempts; older results are made again


def attempt_secret(
    voice: Voice, stage: StageName, attempt: int, input_hash: str, key: SigningKey, *, store_keys: Mapping[str, str]
) -> dict[str, Any]:
    """Return the Secret that the stage's pod mounts; a later attempt of the stage overwrites it.

    Args:
        voice: whose Job it is.
        stage: of the Job.
        attempt: number of the newest one; the Secret has the keys of those before it too.
        input_hash: of the voice.
        key: of the installation; the attempts' keys derive from it.
        store_keys: files that the store's client reads; none where the namespace has keys of its own.
    """
    attempts = range(max(1, attempt - MAX_KEYS + 1), attempt + 1)
    keys = {str(one): key.attempt_key(voice.uid, input_hash, stage, one).hex() for one in attempts}
    files = {FILE: json.dumps({"schema": KEYS_SCHEMA, "keys": keys}), **store_keys}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": document_name(voice.name, input_hash, stage),
            "namespace": voice.namespace,
            "labels": recommended(name="voicemodel", instance=voice.name, component=stage) | {VOICE_MODEL: voice.name},
            "ownerReferences": owner("VoiceModel", voice.name, voice.uid),
        },
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
    }


def keys_volume(document: str, mode: int) -> dict[str, Any]:
    """Return the pod's volume; ``document`` is the name of the stage's document, and of its Secret."""
    return {"name": "keys", "secret": {"secretName": document, "defaultMode": mode}}
