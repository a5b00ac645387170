"""Names of things: queue keys, children of a voice, folders in the bucket; all follow from voice and input hash."""

import re
from dataclasses import dataclass
from typing import Literal

from voice_operator.api.schema import INPUT_HASH, VOICE_NAME
from voice_operator.api.voice_status import StageName

# VoiceList: the list of a VoiceServer. VoiceFolder: the files of a VoiceModel, which outlive it until they are erased.
KindName = Literal["VoiceModel", "VoiceRevision", "VoiceServer", "VoiceList", "VoiceFolder"]

HASH_DIGITS = 8
_VOICE = re.compile(VOICE_NAME)
_HASH = re.compile(INPUT_HASH)


@dataclass(frozen=True, order=True)
class Key:
    """One object that may need work."""

    kind: KindName
    namespace: str
    name: str

    @property
    def about(self) -> "Key":
        """The object that Events are about: a list is a part of its VoiceServer, a folder one of its VoiceModel."""
        owners: dict[KindName, KindName] = {"VoiceList": "VoiceServer", "VoiceFolder": "VoiceModel"}
        return Key(owners.get(self.kind, self.kind), self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def revision_name(voice: str, input_hash: str) -> str:
    """Return the name of the revision that this input leads to."""
    return f"{voice}-{input_hash[:HASH_DIGITS]}"


def document_name(voice: str, input_hash: str, stage: StageName) -> str:
    """Return the name of the ConfigMap that holds a stage's job document."""
    return f"{revision_name(voice, input_hash)}-{stage}"


def job_name(voice: str, input_hash: str, stage: StageName, attempt: int) -> str:
    """Return the name of the Job of one attempt; the same input and attempt always give the same Job."""
    return f"{document_name(voice, input_hash, stage)}-{attempt}"


def are_plain(voice: str, input_hash: str) -> bool:
    """Return whether these are a name and an input hash: no URI that is made of them leads out of its folder."""
    return bool(_VOICE.fullmatch(voice) and _HASH.fullmatch(input_hash))


def voice_folder(storage: str, namespace: str, voice: str) -> str:
    """Return the URI below which everything of a voice lies."""
    return f"{storage}/{namespace}/{voice}"


def marker_uri(storage: str, namespace: str, voice: str) -> str:
    """Return the URI of the document that says whose a voice's folder is; no namespace has a name with ``_``."""
    return f"{storage}/_voices/{namespace}/{voice}.json"


def journal_uri(storage: str, namespace: str, voice: str, uid: str) -> str:
    """Return the URI of the document that says what of a VoiceModel's erasures is not recorded yet."""
    return f"{storage}/_voices/{namespace}/{voice}/{uid}.json"


def tombstone_uri(storage: str, namespace: str, voice: str) -> str:
    """Return the URI of the document that says when the files of a deleted voice were erased."""
    return f"{storage}/_erased/{namespace}/{voice}.json"


def workspace_uri(storage: str, namespace: str, voice: str, input_hash: str) -> str:
    """Return the URI of the stages' folders."""
    return f"{voice_folder(storage, namespace, voice)}/{input_hash}"


def revision_uri(storage: str, namespace: str, voice: str, input_hash: str) -> str:
    """Return the URI of the voice bundle."""
    return f"{voice_folder(storage, namespace, voice)}/revisions/{revision_name(voice, input_hash)}"
