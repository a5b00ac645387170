"""The list of voices that a server must serve: one document, kept in as many ConfigMaps as it needs."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from voice_operator.api.voice_status import ResolvedBase
from voice_operator.documents import DESIRED_SCHEMA
from voice_operator.errors import ListTooLong
from voice_operator.manifests import labels
from voice_operator.manifests.pod import store_files
from voice_operator.reconcile.observed import DesiredRevision, DesiredVoice, ServerRef
from voice_operator.settings import Settings

FILE = "voices.json"
FOLDER = "/etc/voice/desired"
MAX_SHARD_BYTES = 900 << 10  # an object of the API server has at most 1 MiB, and the store's authorities are beside it
MAX_SHARDS = 16  # each is a source of the pods' volume

Document = dict[str, Any]


def list_document(
    server: ServerRef,
    voices: Iterable[DesiredVoice],
    base: ResolvedBase | None,
    generation: int,
    settings: Settings,
    *,
    token: str = "",
) -> Document:
    """Return the whole desired-voices document; ``base`` is the server's own, None while it is not configured.

    With the ``token`` pods ask the operator for it: whoever may read the ConfigMap may ask, and nobody else.
    """
    document = {
        "schema": DESIRED_SCHEMA,
        "server": {"namespace": server.namespace, "name": server.name},
        "generation": generation,
    } | ({"token": token} if token else {})
    own = {} if base is None else {"base": base.document()}
    return document | own | {"voices": [_entry(voice, base, settings) for voice in voices]}


def configured_base(name: str, settings: Settings) -> ResolvedBase | None:
    """Return the base of that name; None: the installation has none."""
    base = settings.bases.get(name)
    return None if base is None else ResolvedBase(name=name, uri=base.uri, digest=base.digest)


def shards_of(document: Document, at_least: int, reserved_bytes: int) -> list[Document]:
    """Return the document in parts that each fit a ConfigMap with ``reserved_bytes`` of other content.

    A voice's part follows from its id, and there are never fewer parts than ``at_least``, the present number: a change
    of one voice changes one part.

    Raises:
        ListTooLong: MAX_SHARDS parts are not enough.
    """
    count = at_least
    while count <= MAX_SHARDS:
        parts: list[list[Document]] = [[] for _ in range(count)]
        for entry in document["voices"]:
            parts[shard_of(entry["id"], count)].append(entry)
        numbers: Iterable[Document] = ({"shard": number, "shards": count} for number in range(count))
        found = [
            document | ({} if count == 1 else number) | {"voices": part}
            for number, part in zip(numbers, parts, strict=True)
        ]
        if max(len(rendered(part).encode()) for part in found) + reserved_bytes <= MAX_SHARD_BYTES:
            return found
        count *= 2
    server = document["server"]
    raise ListTooLong(
        f"VoiceServer {server['namespace']}/{server['name']}: its {len(document['voices'])} voices need more than "
        f"{MAX_SHARDS} ConfigMaps; divide them between several VoiceServers (spec.serving.server)"
    )


def shard_of(voice_id: str, count: int) -> int:
    """Return the part that holds a voice."""
    return int.from_bytes(hashlib.sha256(voice_id.encode()).digest()[:8]) % count


def merged(parts: Sequence[Document]) -> Document:
    """Return the whole document of its parts."""
    whole = {key: value for key, value in parts[0].items() if key not in {"shard", "shards"}}
    voices = [voice for part in parts for voice in part["voices"]]
    return whole | {
        "generation": max(part["generation"] for part in parts),
        "voices": sorted(voices, key=lambda voice: str(voice["id"])),
    }


def without_removed(parts: Sequence[Document], document: Document) -> list[Document]:
    """Return the parts without the voices that ``document`` lacks: where it is too long, nothing else of it counts."""
    ids = {entry["id"] for entry in document["voices"]}
    return [
        part
        | {
            "generation": document["generation"],
            "voices": [entry for entry in part["voices"] if entry["id"] in ids],
        }
        for part in parts
    ]


def differ(part: Document, other: Document) -> bool:
    """Return whether two parts say different things; their generations do not count."""
    return part | {"generation": 0} != other | {"generation": 0}


def rendered(document: Document) -> str:
    """Return the document's text."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def list_config_map(server: ServerRef, part: Document, settings: Settings) -> dict[str, Any]:
    """Return the ConfigMap of one part; pods start from it, and serve by it while the operator is away."""
    shard = part.get("shard", 0)
    files = {file_name(shard): rendered(part)} | (store_files(settings) if shard == 0 else {})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": server_metadata(server, list_name(server.name, shard)),
        "data": files,
    }


def list_volume(server: ServerRef) -> dict[str, Any]:
    """Return the pods' volume with all parts, also those that are not needed yet: a new part restarts no pod."""
    sources = [
        {"configMap": {"name": list_name(server.name, shard)} | ({"optional": True} if shard else {})}
        for shard in range(MAX_SHARDS)
    ]
    return {"name": "voices", "projected": {"sources": sources}}


def list_name(server: str, shard: int) -> str:
    """Return the name of the ConfigMap of a part."""
    return f"{server}-voices" + (f"-{shard}" if shard else "")


def file_name(shard: int) -> str:
    """Return the name of a part's file."""
    return f"voices-{shard}.json" if shard else FILE


def server_metadata(server: ServerRef, name: str) -> dict[str, Any]:
    """Return the metadata of a child of a VoiceServer."""
    recommended = labels.recommended(name="voiceserver", instance=server.name, component="inference")
    return {
        "name": name,
        "namespace": server.namespace,
        "labels": recommended | {labels.SERVER: server.name},
        "ownerReferences": labels.owner("VoiceServer", server.name, server.uid),
    }


def _entry(voice: DesiredVoice, base: ResolvedBase | None, settings: Settings) -> Document:
    entry: Document = {"id": voice.id} | _bundle(voice, base, settings)
    entry["expires"] = voice.expires  # null: without end, whatever the bundle says
    if voice.lexicon:
        entry["lexicon"] = [reading.document() for reading in voice.lexicon]
    for role, other in (("next", voice.next), ("previous", voice.previous)):
        if other is not None:
            entry[role] = _bundle(other, base, settings)
    return entry


def _bundle(voice: DesiredVoice | DesiredRevision, base: ResolvedBase | None, settings: Settings) -> Document:
    bundle = {"revision": voice.revision, "uri": voice.uri, "digest": voice.digest}
    seal = {"seal": voice.seal, "spec": voice.spec_digest} if voice.seal else {}
    return bundle | seal | _other_base(voice.base, base, settings)


def _other_base(recorded: ResolvedBase | None, base: ResolvedBase | None, settings: Settings) -> Document:
    """Return the base where it is not the server's own, at the address where the installation has it now."""
    if recorded is None or (base is not None and recorded.is_same_as(base)):
        return {}
    known = next((one for one in settings.bases.values() if one.digest and one.digest == recorded.digest), None)
    return {"base": recorded.document() | ({"uri": known.uri} if known else {})}
