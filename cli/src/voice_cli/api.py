"""Names of the resources' API that commands write: kinds, annotations, conditions."""

import re
from typing import Any

Object = dict[str, Any]

GROUP = "voice.sovits.dev"
API_VERSION = f"{GROUP}/v1alpha1"
VOICE, REVISION, SERVER = (f"{kind}.{GROUP}" for kind in ("voicemodels", "voicerevisions", "voiceservers"))
KIND_NAMES = {VOICE: "VoiceModel", REVISION: "VoiceRevision", SERVER: "VoiceServer"}

REQUESTED_BY = f"{GROUP}/requested-by"  # who changes the spec, as the API server knows them
RETRY = f"{GROUP}/retry"  # another value asks for failed stages to start afresh
VOICE_LABEL = f"{GROUP}/voice-model"

MAX_NAME = 40
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
COMMIT = re.compile(r"[0-9a-f]{4,64}")


def conditions_of(voice: Object) -> dict[str, Object]:
    """Return a resource's conditions by type."""
    found = (voice.get("status") or {}).get("conditions") or ()
    return {str(one.get("type")): one for one in found}


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])


def source_of(item: Object) -> Object:
    """Return which commit an object's spec comes from: repository, commit, author."""
    source: Object = (item.get("spec") or {}).get("source") or {}
    return source
