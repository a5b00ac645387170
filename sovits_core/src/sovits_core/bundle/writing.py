"""Putting a base bundle together: a folder that appears whole or not at all, digests, base.json; no torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sovits_core.bundle.base import BaseBundle, BaseDocument, open_base
from sovits_core.errors import BaseRejected, SovitsError
from sovits_core.text.symbols import symbols_sha256
from sovits_core.validation import one_line
from voice_store import content_of_file


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one, which takes its name when the block ends well and vanishes otherwise.

    Raises:
        SovitsError: there is something at the wanted place already, or nothing can be written there.
    """
    if folder.exists() or folder.is_symlink():
        raise SovitsError(f"{folder} exists already: name a new folder, or move that one away")
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.rename(folder)
    except OSError as error:
        raise SovitsError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_base_json(folder: Path, document: Mapping[str, Any]) -> BaseBundle:
    """Write base.json over all files of a folder, and return the bundle as a reader will see it.

    Args:
        folder: holds the base's other files already; they are made readable for everybody, as an image's user is
            another one than the one who made it.
        document: what `BaseDocument` needs, less `schema`, `symbolsSha256` and `files`.

    Raises:
        BaseRejected: the document is not a valid one.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)
    try:
        valid = BaseDocument.model_validate(
            {
                **document,
                "schema": "voice.sovits.dev/base/v1",
                "symbolsSha256": symbols_sha256(document["symbols"]),
                "files": {path.relative_to(folder).as_posix(): file_digest(path) for path in files},
            }
        )
    except ValidationError as error:
        raise BaseRejected(f"the base cannot be described: {one_line(error)}") from error
    text = json.dumps(valid.model_dump(mode="json", by_alias=True, exclude_none=True), indent=1, ensure_ascii=False)
    (folder / "base.json").write_text(text + "\n", encoding="utf-8")
    return open_base(str(folder))


def file_digest(path: Path) -> dict[str, str | int]:
    """SHA-256 and size of a file, as `files` of base.json wants them."""
    content = content_of_file(path)
    return {"sha256": content.sha256, "size": content.size}
