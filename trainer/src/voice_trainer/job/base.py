"""The base model of a job: embedded, in a folder, or fetched from S3 file by file as stages need them."""

from __future__ import annotations

from pathlib import Path

from sovits_core.bundle.base import LARGEST_BASE_JSON, BaseBundle, BaseDocument, open_base
from sovits_core.errors import BaseRejected
from voice_store import NotFound, Store, TooLarge, open_store

BASE_JSON = "base.json"


class JobBase:
    """A base bundle whose files are fetched and checked at their first use."""

    def __init__(self, uri: str, digest: str, scratch: Path) -> None:
        """Open the base; of one on S3 only ``base.json`` is fetched.

        Raises:
            BaseRejected: there is none, it is damaged, or it has another digest.
        """
        self._store: Store | None = None
        if uri.startswith("s3://"):
            self._store = open_store(uri)
            folder = scratch / "base"
            try:
                self._store.download(BASE_JSON, folder / BASE_JSON, limit=LARGEST_BASE_JSON)
            except NotFound as error:
                raise BaseRejected(f"there is no base at {uri!r}: {BASE_JSON} does not exist") from error
            uri = folder.absolute().as_uri()
        self._bundle: BaseBundle = open_base(uri, digest)

    @property
    def document(self) -> BaseDocument:
        """The base's ``base.json``."""
        return self._bundle.document

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of ``base.json``, which holds the digests of all files."""
        return self._bundle.digest

    def path(self, name: str) -> Path:
        """Return the local path of one file of the base; raises ``BaseRejected`` when its digest differs."""
        self._fetch(name)
        return self._bundle.path(name)

    def folder(self, name: str) -> Path:
        """Return a folder of the base with all its files."""
        for file in self.document.files:
            if file.startswith(f"{name}/"):
                self._fetch(file)
        self._bundle.files_under(name)
        return self._bundle.folder / name

    def _fetch(self, name: str) -> None:
        expected = self.document.files.get(name)
        path = self._bundle.folder / name
        if self._store is None or expected is None or path.is_file():
            return
        try:
            self._store.download(name, path, limit=expected.size)
        except TooLarge as error:
            raise BaseRejected(f"{error}; publish the base again, or correct its files") from error
