"""A folder of trained voices: laid out as the bucket of an installation, with the list that servers read."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voice_store import FolderStore, NotFound
from voice_trainer.errors import Transient, UsageError
from voice_trainer.job.workspace import JSON

DESIRED_SCHEMA = "voice.sovits.dev/desired-voices/v1"
VOICES = "voices.json"
LOCK = ".lock"


class Registry:
    """Voices in a folder; ``voices.json`` lists the newest published revision of each, with addresses on this machine.

    The server reads it as it reads an operator's, again and again, so a voice is heard as soon as it is trained.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made at its first use.

        Raises:
            InvalidUri: its name cannot be written as a URI.
        """
        self.folder = folder
        self._store = FolderStore(folder)

    def uri(self, *names: str) -> str:
        """Return the address of a folder below this one."""
        return "/".join([self._store.uri.rstrip("/"), *names])

    @contextmanager
    def training(self, namespace: str, voice: str) -> Iterator[None]:
        """Hold a voice, so that nothing else trains it meanwhile.

        Raises:
            Transient: ``RegistryBusy``; something else does.
            UsageError: ``RegistryUnusable``; the folder cannot be written.
        """
        with self._locked(self.folder / namespace / voice, wait=False):
            yield

    def listed(self) -> dict[str, dict[str, Any]]:
        """Return the entry of each voice, by ``namespace/name``.

        Raises:
            UsageError: ``RegistryDamaged``; the list is not one.
        """
        return {str(entry.get("id")): entry for entry in self._read()["voices"]}

    def publish(self, entry: dict[str, Any]) -> None:
        """List a revision, and the one of its voice that was listed before as the previous one, on the same base.

        Args:
            entry: of a desired-voices document, with ``id`` and its own ``base``.

        Raises:
            UsageError: ``RegistryDamaged``; the list is not one.
        """
        with self._locked(self.folder, wait=True):
            document = self._read()
            voices = {str(voice.get("id")): voice for voice in document["voices"]}
            listed = voices.get(entry["id"], {})
            previous = _before(entry, listed)
            new = entry | ({"previous": previous} if previous else {})
            if new == listed:
                return
            voices[entry["id"]] = new
            document |= {
                "generation": document["generation"] + 1,
                "voices": [voices[name] for name in sorted(voices)],
            }
            self._store.write(VOICES, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n", JSON)

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self._store.read(VOICES))
        except NotFound:
            return {"schema": DESIRED_SCHEMA, "generation": 0, "voices": []}
        except ValueError as error:
            raise self._damaged(f"it is no JSON ({error})") from error
        if not isinstance(document, dict) or document.get("schema") != DESIRED_SCHEMA:
            raise self._damaged(f"its schema is not {DESIRED_SCHEMA}")
        voices, generation = document.get("voices"), document.get("generation")
        if type(generation) is not int or not isinstance(voices, list) or not all(isinstance(v, dict) for v in voices):
            raise self._damaged("it has no generation or no list of voices")
        return document

    def _damaged(self, what: str) -> UsageError:
        return UsageError(
            f"{self.folder / VOICES} is no list of voices: {what}; move it away, then train again, which lists the "
            "voice without training it anew",
            reason="RegistryDamaged",
        )

    @contextmanager
    def _locked(self, folder: Path, *, wait: bool) -> Iterator[None]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = (folder / LOCK).open("w")
        except OSError as error:
            raise UsageError(
                f"--out: {folder} cannot be written: {error.strerror}; choose another folder", reason="RegistryUnusable"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Transient(
                    f"another voice-trainer is working in {folder}; wait until it has ended", reason="RegistryBusy"
                ) from error
            yield


def _before(entry: dict[str, Any], listed: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was listed before the entry's revision, as far as it needs no base of its own."""
    if not listed or listed.get("base") != entry.get("base"):
        return None
    if listed.get("revision") == entry.get("revision"):
        return listed.get("previous")
    return {name: listed.get(name) for name in ("revision", "uri", "digest", "base")}
