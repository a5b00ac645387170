"""A Whisper folder as transformers writes it: fetched, held against its digest, and known to be one; no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sovits_core.text import LANGUAGES
from voice_store import FolderStore, open_store
from voice_trainer.errors import Refused
from voice_trainer.job.document import RecogniserReference
from voice_trainer.recordings.fetching import DatasetDigest

CONFIG, GENERATION = "config.json", "generation_config.json"
DOCUMENTS: Final = (
    CONFIG,
    GENERATION,
    "added_tokens.json",
    "merges.txt",
    "normalizer.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
)
WEIGHTS: Final = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
MIB: Final = 1024 * 1024
DOCUMENT_LIMIT: Final = 64 * MIB
WEIGHTS_LIMIT: Final = 8192 * MIB  # of all files; the largest Whisper has 6.2 GB in float32
NAME_DIGITS: Final = 12


@dataclass(frozen=True)
class WhisperFolder:
    """A folder on this machine whose content is the one that was asked for."""

    path: Path
    digest: str
    size: int  # bytes of all files that are read
    languages: tuple[str, ...]
    """Those that both Whisper and this family know."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"Whisper {self.digest.removeprefix('sha256:')[:NAME_DIGITS]}"


def fetch_folder(reference: RecogniserReference, language: str, scratch: Path) -> WhisperFolder:
    """Return the folder that a job names, for a language; from S3 its files are fetched, and no others.

    Raises:
        Refused: it is no Whisper folder, has another digest, or does not know the language.
    """
    found = read_folder(reference.uri, scratch)
    if found.digest != reference.digest:
        raise Refused(
            f"recogniser.digest is {reference.digest}, but {reference.uri} has {found.digest}; restore the folder, or "
            "set the digest that `voice-trainer recogniser` prints",
            reason="RecogniserDigestMismatch",
        )
    if language not in found.languages:
        raise _rejected(
            reference.uri,
            f"knows {', '.join(found.languages) or 'none of the languages here'}, and not {language}; take "
            f"{language} out of recogniser.languages",
        )
    return found


def read_folder(uri: str, scratch: Path) -> WhisperFolder:
    """Return what a folder is; from S3 it is fetched into ``scratch/recogniser``.

    Raises:
        Refused: it is no Whisper folder.
        StoreError: it cannot be read.
    """
    store = open_store(uri)
    names, size = _names(uri, ((entry.key, entry.size) for entry in store.list()))
    if isinstance(store, FolderStore):
        path = store.root
    else:
        path = scratch / "recogniser"
        for name in names:
            store.download(name, path / name, limit=WEIGHTS_LIMIT)
    digest = DatasetDigest()
    for name in names:
        digest.add(name, path / name)
    return WhisperFolder(path, digest.value(), size, _languages(uri, path))


def _names(uri: str, entries: Iterable[tuple[str, int]]) -> tuple[list[str], int]:
    """Return the names of the files that are read, sorted, and their bytes."""
    sizes = {name: size for name, size in entries if name in DOCUMENTS or WEIGHTS.fullmatch(name)}
    for name in (CONFIG, GENERATION):
        if name not in sizes:
            raise _rejected(uri, f"has no {name}")
    if not any(name.endswith(".safetensors") for name in sizes):
        raise _rejected(uri, "has no model.safetensors; weights in pickles (pytorch_model.bin) are never read")
    if not ("tokenizer.json" in sizes or {"vocab.json", "merges.txt"} <= sizes.keys()):
        raise _rejected(uri, "has no tokenizer.json")
    for name, size in sizes.items():
        if not name.endswith(".safetensors") and size > DOCUMENT_LIMIT:
            raise _rejected(uri, f"has a {name} of {size // MIB} MiB; at most {DOCUMENT_LIMIT // MIB} are read")
    if (total := sum(sizes.values())) > WEIGHTS_LIMIT:
        raise _rejected(uri, f"has {total // MIB} MiB; at most {WEIGHTS_LIMIT // MIB} are read")
    return sorted(sizes), total


def _languages(uri: str, path: Path) -> tuple[str, ...]:
    kind = _document(uri, path / CONFIG).get("model_type")
    if kind != "whisper":
        raise _rejected(uri, f"has the model_type {str(kind)[:40]!r} in {CONFIG}")
    generation = _document(uri, path / GENERATION)
    if generation.get("is_multilingual") is False:
        return ("en",)
    known = generation.get("lang_to_id")
    if not isinstance(known, dict):
        raise _rejected(uri, f"has no lang_to_id in {GENERATION}, as folders from before 2023; export it again")
    return tuple(language for language in LANGUAGES if f"<|{language}|>" in known)


def _document(uri: str, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _rejected(uri, f"has a {path.name} that is no JSON") from error
    if not isinstance(document, dict):
        raise _rejected(uri, f"has a {path.name} that is no object")
    return document


def _rejected(uri: str, why: str) -> Refused:
    return Refused(f"the recogniser {uri} is no Whisper folder that can be used: it {why}", reason="RecogniserRejected")
