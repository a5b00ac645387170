"""The object store seen from behind: the folder of its server, which no fault reaches."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bucket:
    """A prefix and the folder in which its objects are files."""

    uri: str
    folder: Path

    def path(self, uri: str) -> Path:
        assert uri.startswith(f"{self.uri}/"), f"{uri} lies outside {self.uri}"
        return self.folder / uri.removeprefix(f"{self.uri}/")

    def write(self, uri: str, content: bytes) -> None:
        path = self.path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def digest(self, uri: str) -> str | None:
        """SHA-256 of an object; None where there is none."""
        try:
            return f"sha256:{hashlib.sha256(self.path(uri).read_bytes()).hexdigest()}"
        except FileNotFoundError:
            return None

    def files(self, prefix: str) -> list[str]:
        """The objects below a prefix; folders that a server left behind are none, and some go while we look."""
        folder = self.folder / prefix
        found = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
        return sorted(str(path.relative_to(folder)) for path in found)
