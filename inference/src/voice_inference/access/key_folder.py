"""The keys in a mounted Secret, read anew while the server runs: the kubelet swaps its files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from voice_inference.access.api_keys import MAX_KEYS, KeyEntry, KeyRing, ring_of

FILE_LIMIT: Final = 1 << 20  # bytes, as a Secret
_ENTRIES: Final[TypeAdapter[KeyEntry | tuple[KeyEntry, ...]]] = TypeAdapter(KeyEntry | tuple[KeyEntry, ...])

log = logging.getLogger(__name__)


class KeyFolder:
    """A folder of JSON files, each with one entry or a list of them.

    A file that cannot be read counts as empty and the others as they are: a key that is taken away must stop, whatever
    else is wrong. Logs say which file, and never what is in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[str, bytes] | None = None
        self._problems: list[str] = []
        self.ring = KeyRing()

    def refresh(self) -> None:
        """Read the files; blocks. What changed is logged."""
        problems: list[str] = []
        files = self._files(problems)
        if files != self._read or problems:
            entries = [(name, entry) for name, data in files.items() for entry in _entries(name, data, problems)]
            ring, refused = ring_of(entries)
            problems += refused
            if ring != self.ring or self._read is None:
                log.info("%d API keys in %s: %s", len(ring.entries), self._path, _ids(ring))
            self.ring, self._read = ring, files
        if problems != self._problems:
            for problem in problems[:10]:
                log.error("%s: %s", self._path, problem)
            self._problems = problems

    def _files(self, problems: list[str]) -> dict[str, bytes]:
        """Return the content of all files by name."""
        found: dict[str, bytes] = {}
        try:
            paths = sorted(path for path in self._path.iterdir() if not path.name.startswith("."))  # ..data
        except OSError as error:
            problems.append(f"there are no keys: {error.strerror}")
            return {}
        for path in paths[:MAX_KEYS]:
            try:
                with path.open("rb") as file:
                    data = file.read(FILE_LIMIT + 1)
            except OSError as error:
                problems.append(f"{path.name} cannot be read: {error.strerror}")
                continue
            if len(data) > FILE_LIMIT:
                problems.append(f"{path.name} is larger than {FILE_LIMIT} bytes")
                continue
            found[path.name] = data
        return found


def _entries(name: str, data: bytes, problems: list[str]) -> tuple[KeyEntry, ...]:
    try:
        entries = _ENTRIES.validate_json(data)
    except ValidationError as error:
        problems.append(f"{name} has no entry of a key: {_where(error)}; `voice-inference key new` prints one")
        return ()
    return entries if isinstance(entries, tuple) else (entries,)


def _where(error: ValidationError) -> str:
    """Return what is wrong without the values, which may be somebody's secrets."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part not in {"KeyEntry", "tuple[KeyEntry, ...]"})
    return f"{field}: {first['msg']}" if field else first["msg"]


def _ids(ring: KeyRing) -> str:
    ids = [entry.id for entry in ring.entries]
    return ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
