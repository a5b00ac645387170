"""The dataset as uploaded: its clips and transcripts, and all problems with them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sovits_core.stores import NotFound, Store, TooLarge
from voice_trainer.errors import BadData, BadDataset
from voice_trainer.job.results import digest_of

METADATA = "metadata.csv"
METADATA_LIMIT = 16 * 1024 * 1024
CLIPS = "wavs/"
FORMATS = ("wav", "flac", "ogg", "mp3")
CLIP_LIMIT = 64 * 1024 * 1024  # bytes: a minute of 48 kHz, 24 bit, stereo is 17 MB
CLIP_ID = re.compile(r"\w[\w.-]{0,119}")
TEXT_LIMIT = 1000  # characters; a minute of fast speech has some 900
VALUE_SHOWN = 60


@dataclass
class Problems:
    """All problems of a dataset, so that one pass reports all of them."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, reason: str, sentence: str) -> None:
        """Add one problem; ``reason`` becomes the condition's."""
        self.found.append((reason, sentence))

    def require_none(self) -> None:
        """Raise ``BadDataset`` with all problems, if there are any."""
        if self.found:
            raise BadDataset(self.found)


@dataclass(frozen=True)
class Recording:
    """One clip and its transcript."""

    id: str
    text: str
    key: str  # in the dataset's store

    @property
    def format(self) -> str:
        """The container format, by the file's name."""
        return PurePosixPath(self.key).suffix[1:].lower()


def read_dataset(store: Store, problems: Problems) -> tuple[Recording, ...]:
    """Match transcripts with clips, by id in the order of the transcripts.

    Raises:
        BadData: there is no ``metadata.csv`` at all.
    """
    texts = dict(_transcripts(_metadata(store), problems))
    keys = _clip_keys(store, problems)
    for name in sorted(set(texts) - set(keys)):
        problems.add(
            "TranscriptWithoutClip",
            f"{METADATA} has a transcript for {shown(name)} but {CLIPS}{name}.{{{','.join(FORMATS)}}} does not exist; "
            "add the clip or delete the line",
        )
    for name in sorted(set(keys) - set(texts)):
        problems.add(
            "ClipWithoutTranscript",
            f"{keys[name]} has no line in {METADATA}; add the line {name}|<text> or delete the clip",
        )
    return tuple(Recording(name, text, keys[name]) for name, text in texts.items() if name in keys)


def fetch(store: Store, recording: Recording, folder: Path, problems: Problems) -> Path | None:
    """Download one clip; ``None`` when it is too large to be one."""
    path = folder / f"{recording.id}.{recording.format}"
    try:
        store.download(recording.key, path, limit=CLIP_LIMIT)
    except TooLarge:
        problems.add(
            "ClipTooLarge",
            f"{recording.key} is larger than {CLIP_LIMIT // 2**20} MiB; cut it into sentences of up to 15 s",
        )
        return None
    return path


class DatasetDigest:
    """The SHA-256 over lines ``<sha256 of the file>  <key>`` in the order of the keys: what ``dataset.digest`` pins."""

    def __init__(self, store: Store) -> None:
        self._files = {METADATA: hashlib.sha256(store.read(METADATA, limit=METADATA_LIMIT)).hexdigest()}

    def add(self, key: str, path: Path) -> None:
        """Count one clip in."""
        self._files[key] = digest_of(path).sha256

    def value(self) -> str:
        """Return ``sha256:<hex>``."""
        lines = "".join(f"{digest}  {key}\n" for key, digest in sorted(self._files.items()))
        return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()

    def require(self, pinned: str) -> None:
        """Raise ``BadData`` when a pinned digest differs."""
        if pinned and pinned != self.value():
            raise BadData(
                f"dataset.digest is {pinned} but the recordings have {self.value()}; "
                "restore the pinned recordings or update the digest",
                reason="DatasetDigestMismatch",
            )


def shown(value: str) -> str:
    """Quote a value from outside, shortened."""
    return repr(value if len(value) <= VALUE_SHOWN else value[:VALUE_SHOWN] + "…")


def _metadata(store: Store) -> list[str]:
    try:
        data = store.read(METADATA, limit=METADATA_LIMIT)
    except NotFound as error:
        raise BadData(
            f"{store.uri}/{METADATA} does not exist; it lists the clips, one line each: id|text",
            reason="MetadataMissing",
        ) from error
    except TooLarge as error:
        raise BadData(
            f"{store.uri}/{METADATA} is larger than {METADATA_LIMIT // 2**20} MiB", reason="MetadataTooLarge"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadData(
            f"{METADATA} line {line} is not UTF-8; save the file as UTF-8", reason="MetadataNotUtf8"
        ) from error
    return text.split("\n")


def _transcripts(lines: list[str], problems: Problems) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, line in enumerate((line.strip() for line in lines), start=1):
        if not line:
            continue
        where = f"{METADATA} line {number}"
        name, separator, text = (part.strip() for part in line.partition("|"))
        if not separator or "|" in text:
            problems.add("BadMetadataRow", f"{where} is {shown(line)}; a line is id|text with exactly one |")
        elif not CLIP_ID.fullmatch(name) or ".." in name:
            problems.add(
                "InvalidClipId",
                f"{where} has the id {shown(name)}; an id is a file's name without folder and extension, "
                "of letters, digits, _ - and .",
            )
        elif name in seen:
            problems.add(
                "DuplicateId", f"{where} repeats the id {shown(name)} of line {seen[name]}; delete one of the lines"
            )
        else:
            seen[name] = number
            yield name, text
            if not text:
                problems.add(
                    "EmptyTranscript", f"{where} has no text for {shown(name)}; write what is said in the clip"
                )
            elif len(text) > TEXT_LIMIT:
                problems.add(
                    "TranscriptTooLong",
                    f"{where} has {len(text)} characters for {shown(name)}, at most {TEXT_LIMIT} are taken; cut it",
                )


def _clip_keys(store: Store, problems: Problems) -> dict[str, str]:
    keys: dict[str, str] = {}
    for key in store.list(CLIPS):
        path = PurePosixPath(key.removeprefix(CLIPS))
        if path.name.startswith("."):  # .DS_Store and the like
            continue
        if len(path.parts) > 1 or path.suffix[1:].lower() not in FORMATS:
            problems.add(
                "UnreadableClip", f"{shown(key)} is no {CLIPS}<id>.{{{','.join(FORMATS)}}}; convert or move it"
            )
        elif path.stem in keys:
            problems.add("DuplicateId", f"{shown(key)} and {shown(keys[path.stem])} have the same id; delete one")
        else:
            keys[path.stem] = key
    return keys
