"""Bundles that a real server loads: what an honest training leaves, and what an attacker makes of it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.inference.conftest import Bundle
from tests.support.voices import Object

from voice_inference.bundles.base import Base


class Bundles:
    """Makes bundles for one base; each voice has its own adapter."""

    def __init__(self, base: Base, folder: Path) -> None:
        self._base = base
        self._folder = folder
        self._made = 0

    def make(self, voice_id: str, revision: str, *, rank: int = 2, **changes: Any) -> Bundle:
        """A bundle in a folder of its own, its files written; ``changes`` go into its voice.json."""
        self._made += 1
        seed = int.from_bytes(hashlib.sha256(voice_id.encode()).digest()[:4])
        bundle = Bundle(self._folder / str(self._made), self._base, voice_id, revision, rank=rank, seed=seed)
        bundle.voice |= changes
        bundle.write()
        return bundle

    def of_job(self, document: Object) -> dict[str, bytes]:
        """The files that the publishing stage of this job document writes."""
        voice = document["voice"]
        bundle = self.make(f"{voice['namespace']}/{voice['name']}", document["revision"], voice=voice)
        bundle.seal()
        return {path.name: path.read_bytes() for path in sorted(bundle.folder.iterdir())}


def entry_of(bundle: Bundle, **changes: Any) -> Object:
    """The entry of a server's list that names a bundle, without a seal."""
    return {**bundle.seal().model_dump(), **changes}


def write_list(path: Path, base: Object, *voices: Object, generation: int = 1) -> None:
    """The list of a server's voices, as the operator would mount it."""
    document = {
        "schema": "voice.sovits.dev/desired-voices/v1",
        "server": {"namespace": "voice-system", "name": "default"},
        "generation": generation,
        "base": base,
        "voices": list(voices),
    }
    replacement = path.with_suffix(".new")
    replacement.write_text(json.dumps(document))
    replacement.replace(path)
