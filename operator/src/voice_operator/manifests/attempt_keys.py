"""The Secret of an attempt: by its keys the trainer proves what it made, and knows what earlier attempts proved."""

import base64
import json
from typing import Any

from voice_operator.documents import KEYS_SCHEMA
from voice_operator.manifests.labels import VOICE_MODEL, owner, recommended
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.names import document_name
from voice_operator.reconcile.observed import Voice
from voice_operator.signing import SigningKey

FOLDER = "/etc/voice-keys"
FILE = "keys.json"
MAX_KEYS = 1000  # of the newest attempts; older results are made again


def attempt_secret(voice: Voice, start: StartJob, input_hash: str, key: SigningKey) -> dict[str, Any]:
    """Return the Secret that the stage's pod mounts; a later attempt of the stage overwrites it."""
    attempts = range(max(1, start.attempt - MAX_KEYS + 1), start.attempt + 1)
    keys = {str(one): key.attempt_key(voice.uid, input_hash, start.stage, one).hex() for one in attempts}
    text = json.dumps({"schema": KEYS_SCHEMA, "keys": keys})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": document_name(voice.name, input_hash, start.stage),
            "namespace": voice.namespace,
            "labels": recommended(name="voicemodel", instance=voice.name, component=start.stage)
            | {VOICE_MODEL: voice.name},
            "ownerReferences": owner("VoiceModel", voice.name, voice.uid),
        },
        "data": {FILE: base64.b64encode(text.encode()).decode()},
    }


def keys_volume(document: str) -> dict[str, Any]:
    """Return the pod's volume; ``document`` is the name of the stage's document, and of its Secret."""
    return {"name": "keys", "secret": {"secretName": document, "defaultMode": 0o440}}
