"""Whose a voice's folder is, told by a document outside of all folders: it outlives VoiceModel and operator.

Its place is one that the keys of namespaces need not reach (docs/tenancy.md), so nobody takes a legal hold away there.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from voice_operator.cluster.erasure_journals import JournalName
from voice_operator.cluster.sealed import SealedDocument
from voice_operator.cluster.store import Store
from voice_operator.documents import Document
from voice_operator.reconcile.erasure import Copied, Erased, Served
from voice_operator.reconcile.names import Key, marker_uri, tombstone_uri
from voice_store import StoreUri

MARKERS = "_voices"
DOCUMENT = re.compile(r"([a-z0-9][-a-z0-9]{0,62})/([a-z][-a-z0-9]{0,62})(?:/([-0-9A-Za-z]{1,64}))?\.json")
"""Names of what we write there: namespace, voice, and the UID of whom a journal is about. Others lie there in vain."""


class Marker(SealedDocument):
    """The VoiceModel whose files lie in a folder; what another installation wrote is not erased."""

    later: ClassVar[frozenset[str]] = frozenset({"served", "copied"})

    schema_: Literal["voice.sovits.dev/voice-folder/v1"] = Field("voice.sovits.dev/voice-folder/v1", alias="schema")
    namespace: str = Field(max_length=63)
    voice: str = Field(max_length=63)
    uid: str = Field(max_length=64)
    legal_hold: bool = Field(False, description="True: what lies there stays when the VoiceModel is deleted.")
    served: Served | None = Field(None, description="What of it is served; None: nothing, or that it ended is noted.")
    copied: Copied | None = Field(None, description="What of it may lie on the Hub; None: nothing, or that is noted.")


class ErasureRecord(Document):
    """What was erased of a deleted voice: all that is left of it."""

    schema_: Literal["voice.sovits.dev/erased/v1"] = Field("voice.sovits.dev/erased/v1", alias="schema")
    namespace: str = Field(max_length=63)
    voice: str = Field(max_length=63)
    uid: str = Field(max_length=64)
    time: str = Field(max_length=32)
    why: str = Field(max_length=32)
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)


@dataclass(frozen=True)
class Marked:
    """What lies beside the folders of voices."""

    folders: tuple[Key, ...]  # that have a marker
    journals: tuple[JournalName, ...]


class Folders:
    """The documents about the folders below one storage URI."""

    def __init__(self, store: Store, storage: str) -> None:
        self._store = store
        self._storage = storage

    async def marker(self, key: Key) -> Marker | None:
        """Return whose the folder is; None: nobody's.

        Raises:
            StoreError: the store failed.
            InvalidDocument: somebody else wrote there.
        """
        uri = self._marker(key)
        data = await self._store.read(uri, key.namespace)
        return None if data is None else Marker.read(data, uri)

    async def mark(self, key: Key, marker: Marker) -> None:
        """Write whose the folder is."""
        await self._store.write(self._marker(key), _written(marker), key.namespace)

    async def bury(self, key: Key, erased: Erased, time: str) -> None:
        """Write what was erased, then remove the marker: from then on the folder is nobody's."""
        record = ErasureRecord(
            namespace=key.namespace,
            voice=key.name,
            uid=erased.uid,
            time=time,
            why=erased.why,
            objects=erased.objects,
            bytes=erased.bytes,
        )
        await self._store.write(tombstone_uri(self._storage, key.namespace, key.name), _written(record), key.namespace)
        marker = StoreUri.parse(self._marker(key))
        await self._store.erase_below(str(marker.parent), (marker.name,), namespace=key.namespace)

    async def marked(self, namespaces: tuple[str, ...]) -> Marked:
        """Return what has a marker, and what is not recorded yet; of these namespaces, or (none named) of all."""
        names: list[str] = []
        for scope in namespaces or ("",):
            below = f"{self._storage}/{MARKERS}/{scope}".rstrip("/")
            found = await self._store.names(below)
            names += (f"{scope}/{entry.key}".lstrip("/") for entry in found)
        parts = [match.groups() for name in names if (match := DOCUMENT.fullmatch(name))]
        return Marked(
            tuple(Key("VoiceFolder", namespace, voice) for namespace, voice, uid in parts if uid is None),
            tuple(JournalName(Key("VoiceFolder", namespace, voice), uid) for namespace, voice, uid in parts if uid),
        )

    def _marker(self, key: Key) -> str:
        return marker_uri(self._storage, key.namespace, key.name)


def _written(document: Document) -> bytes:
    return document.model_dump_json(by_alias=True).encode()
