"""The dataset as uploaded: its list and files matched with one another, and all that is wrong with them."""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voice_store import InvalidKey, Store, TooLarge, check_key
from voice_trainer.errors import BadData
from voice_trainer.job.results import digest_of
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.shapes import Listing, NotText, Row, decode_text, read_listing, shorten

logger = logging.getLogger(__name__)

LISTS = ("metadata.csv", "metadata.jsonl", "metadata.txt", "metadata.list")  # and any one *.list
LIST_LIMIT = 16 * 1024 * 1024
CLIPS = "wavs/"
SOUNDS = frozenset(
    [
        "wav",
        "wave",
        "flac",
        "ogg",
        "oga",
        "opus",
        "mp3",
        "m4a",
        "m4b",
        "mp4",
        "mov",
        "aac",
        "webm",
        "mka",
        "mkv",
        "wma",
        "aif",
        "aiff",
        "aifc",
        "caf",
        "au",
        "w64",
        "rf64",
        "amr",
        "3gp",
        "3g2",
        "wv",
        "ape",
        "tta",
        "ac3",
    ]
)
CLIP_LIMIT = 64 * 1024 * 1024  # bytes: a minute of 48 kHz, 24 bit, stereo is 17 MB
LONG_LIMIT = 1024 * 1024 * 1024  # bytes of a recording that is sliced
CLIP_ID = re.compile(r"\w[\w.-]{0,119}")
ID_BYTES = 200  # a file's name has 255, and ours have an extension
TEXT_LIMIT = 1000  # characters; a minute of fast speech has some 900
TIMED = (".srt", ".vtt")
TEXTS = (*TIMED, ".txt")  # in this order, where a recording has several
WHOLE_TEXT = "transcript"
SPEAKERS_SHOWN = 5

shown = shorten


@dataclass(frozen=True)
class Recording:
    """One clip and its transcript."""

    id: str
    text: str
    key: str  # in the dataset's store
    transcribed: bool = False  # the text is a recogniser's


@dataclass(frozen=True)
class LongRecording:
    """A recording without a line in a list: it is sliced, and its text aligned."""

    id: str
    key: str
    text_key: str  # of its .srt, .vtt or .txt; empty: it has none, and is transcribed


@dataclass(frozen=True)
class Dataset:
    """What is to be trained on; either ``clips`` or ``long`` is empty."""

    shape: str  # one sentence for log and report
    clips: tuple[Recording, ...]
    long: tuple[LongRecording, ...] = ()


def read_dataset(
    store: Store, digest: DatasetDigest, findings: FindingList, language: str, *, transcribes: bool = False
) -> Dataset:
    """Recognise the shape of a dataset, and match texts with sounds, in the order of the list.

    ``transcribes``: recordings without a text are taken, where there is no list.

    Raises:
        BadData: there is neither a list nor a recording with a text.
    """
    keys = _keys(store, findings)
    name = _list_key(keys, findings)
    if name:
        text, encoding = read_text(store, name, digest)
        listing = read_listing(text)
        notes = [f"in {encoding}"] if encoding else []
        shape = "; ".join([f"{name} has lines of {listing.form}", *notes, *listing.notes])
        dataset = Dataset(shape, _listed(name, listing, keys, findings, language))
    else:
        dataset = _unlisted(store, keys, findings, transcribes=transcribes)
    logger.info("%s", dataset.shape)
    return dataset


def fetch(store: Store, key: str, path: Path, findings: FindingList, *, clip: str, limit: int = CLIP_LIMIT) -> bool:
    """Download one recording; False after a finding that it is too large."""
    try:
        store.download(key, path, limit=limit)
    except TooLarge:
        what = (
            "cut it into sentences of up to 15 s" if limit == CLIP_LIMIT else "store it as FLAC, or cut it into parts"
        )
        findings.refuse("ClipTooLarge", f"{key} is larger than {limit // 2**20} MiB; {what}", clip)
        return False
    return True


class DatasetDigest:
    """The SHA-256 over lines ``<sha256 of the file>  <key>`` in the order of the keys: what ``dataset.digest`` pins."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    def add(self, key: str, path: Path) -> None:
        """Count one file in."""
        self._files[key] = digest_of(path).sha256

    def add_bytes(self, key: str, data: bytes) -> None:
        """Count a file in that was read whole."""
        self._files[key] = hashlib.sha256(data).hexdigest()

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


def read_text(store: Store, key: str, digest: DatasetDigest) -> tuple[str, str]:
    """Return a text of the dataset, and its encoding where that is not UTF-8.

    Raises:
        BadData: it is too large, or in no encoding that is taken.
    """
    try:
        data = store.read(key, limit=LIST_LIMIT)
    except TooLarge as error:
        raise BadData(
            f"{store.uri}/{key} is larger than {LIST_LIMIT // 2**20} MiB", reason="MetadataTooLarge"
        ) from error
    digest.add_bytes(key, data)
    try:
        return decode_text(data)
    except NotText as error:
        raise BadData(f"{key} {error}; save the file as UTF-8", reason="MetadataNotUtf8") from error


def is_sound(key: str) -> bool:
    """Whether a file's extension is one of sound."""
    return PurePosixPath(key).suffix[1:].lower() in SOUNDS


def _keys(store: Store, findings: FindingList) -> tuple[str, ...]:
    """Return the dataset's files without hidden ones: .DS_Store, ._clip.flac and the like."""
    keys = []
    for key in (entry.key for entry in store.list()):
        if any(part.startswith(".") or part == "__MACOSX" for part in key.split("/")) or key.endswith("/"):
            continue
        try:
            keys.append(check_key(key))
        except InvalidKey:
            findings.refuse("InvalidClipId", f"{shown(key)} is no name of a file that can be read; rename it")
    return tuple(keys)


def _list_key(keys: Sequence[str], findings: FindingList) -> str:
    """Return the key of the dataset's list, or nothing."""
    lists = [key for key in keys if "/" not in key and (key in LISTS or key.lower().endswith(".list"))]
    if len(lists) > 1:
        names = " and ".join(shown(key) for key in lists[:3])
        findings.refuse("SeveralLists", f"{names} both list clips; keep the one that is right")
    return min(lists, key=lambda key: LISTS.index(key) if key in LISTS else len(LISTS), default="")


def _listed(
    name: str, listing: Listing, keys: Sequence[str], findings: FindingList, language: str
) -> tuple[Recording, ...]:
    _require_one_voice(name, listing, findings, language)
    for number, fault in listing.faults:
        findings.refuse("BadMetadataRow", f"{name} line {number} {fault}")
    files = _Files(keys, findings)
    clips = _clips_of(name, listing.rows, files, findings)
    _report_unlisted(name, files, clips, findings)
    return clips


def _require_one_voice(name: str, listing: Listing, findings: FindingList, language: str) -> None:
    speakers = Counter(row.speaker for row in listing.rows if row.speaker)
    if len(speakers) > 1:
        most = ", ".join(f"{shown(who)} ({count})" for who, count in speakers.most_common(SPEAKERS_SHOWN))
        more = f" and {len(speakers) - SPEAKERS_SHOWN} more" if len(speakers) > SPEAKERS_SHOWN else ""
        findings.refuse(
            "SeveralSpeakers",
            f"{name} names {len(speakers)} speakers: {most}{more}; a voice has one, so delete the lines of the others",
        )
    for code in sorted({row.language for row in listing.rows} - {"", language}):
        lines = [row.line for row in listing.rows if row.language == code]
        findings.refuse(
            "OtherLanguage",
            f"{name} line {lines[0]}{f' and {len(lines) - 1} more' if len(lines) > 1 else ''} has the language "
            f"{shown(code)}, the voice has {language!r}; correct spec.language or delete the lines",
        )


class _Files:
    """The dataset's sound files, found by whatever a list calls them; names are compared by NFC."""

    def __init__(self, keys: Sequence[str], findings: FindingList) -> None:
        self.sounds = tuple(key for key in keys if is_sound(key))
        for key in keys:
            if key.startswith(CLIPS) and not is_sound(key):
                findings.refuse(
                    "UnreadableClip", f"{shown(key)} is no sound by its extension; convert, rename or move it"
                )
        self._by_name: dict[str, list[str]] = {}
        for key in self.sounds:
            whole = _nfc(key)
            for name in {whole, _without_suffix(whole), whole.rpartition("/")[2], PurePosixPath(whole).stem}:
                self._by_name.setdefault(name, []).append(key)

    def find(self, written: str) -> list[str]:
        """Return the files that a list's name may mean, best first; several: it is not clear which.

        An official list has the paths of another machine, so the last part of a path counts where the whole is nowhere.
        """
        name = _nfc(written).replace("\\", "/").removeprefix("./")
        if ".." in name.split("/"):
            return []
        bare = _without_suffix(name)
        wanted = [CLIPS + name, name, CLIPS + bare, bare]
        if is_sound(name):
            wanted += [name.rpartition("/")[2], bare.rpartition("/")[2]]
        return next((self._by_name[one] for one in wanted if one in self._by_name), [])


def _clips_of(name: str, rows: Iterable[Row], files: _Files, findings: FindingList) -> tuple[Recording, ...]:
    clips: dict[str, Recording] = {}
    lines: dict[str, int] = {}  # of each clip's id
    for row in rows:
        where = f"{name} line {row.line}"
        found = files.find(row.name)
        named = _nfc(row.name).replace("\\", "/")
        if not found and (".." in named or ("/" in named and not is_sound(named)) or not id_of(named)):
            findings.refuse(
                "InvalidClipId",
                f"{where} has the id {shown(row.name)}; an id is a file's name, with or without its extension",
            )
            continue
        clip = id_of(found[0] if found else named)
        if clip in lines:
            findings.refuse(
                "DuplicateId",
                f"{where} repeats the id {shown(row.name)} of line {lines[clip]}; delete one of the lines",
                clip,
            )
            continue
        lines[clip] = row.line
        _require_text(where, row, clip, findings)
        if len(found) > 1:
            findings.refuse(
                "DuplicateId", f"{' and '.join(shown(key) for key in found[:3])} have the same id; delete one", clip
            )
        elif not found:
            findings.refuse(
                "TranscriptWithoutClip",
                f"{name} has a transcript for {shown(row.name)}, but no file {CLIPS}{clip}.wav, .flac, .mp3, .m4a or "
                "the like exists; add the clip or delete the line",
                clip,
            )
        for key in found:
            clips.setdefault(clip, Recording(clip, row.text, key))
    return tuple(clips.values())


def _require_text(where: str, row: Row, clip: str, findings: FindingList) -> None:
    if not row.text:
        findings.refuse(
            "EmptyTranscript", f"{where} has no text for {shown(row.name)}; write what is said in the clip", clip
        )
    elif len(row.text) > TEXT_LIMIT:
        findings.refuse(
            "TranscriptTooLong",
            f"{where} has {len(row.text)} characters for {shown(row.name)}, at most {TEXT_LIMIT} are taken; cut it",
            clip,
        )


def _report_unlisted(name: str, files: _Files, clips: Sequence[Recording], findings: FindingList) -> None:
    """Refuse sounds without a line where the list's clips lie; elsewhere they may be what the clips were cut from."""
    used = {clip.key for clip in clips}
    twins = {_without_suffix(key) for key in used}  # reported as two files of one id
    folders = {CLIPS} | {key.rpartition("/")[0] + "/" for key in used}
    for key in files.sounds:
        if key in used or _without_suffix(key) in twins:
            continue
        if key.rpartition("/")[0] + "/" in folders:
            findings.refuse(
                "ClipWithoutTranscript",
                f"{shown(key)} has no line in {name}; add the line {PurePosixPath(key).stem}|<text> or delete the file",
                id_of(key),
            )
        else:
            findings.warn("ClipNotListed", f"{shown(key)} has no line in {name} and is not used")


def _unlisted(store: Store, keys: Sequence[str], findings: FindingList, *, transcribes: bool) -> Dataset:
    """Return recordings whose texts lie beside them: NAME.txt, NAME.srt, NAME.vtt, or transcript.* for the only one."""
    everywhere = [key for key in keys if is_sound(key)]
    sounds = [key for key in everywhere if "/" not in key.removeprefix(CLIPS)]
    texts = _texts_beside(sounds, keys)
    without = [key for key in sounds if not texts[key]]
    used = sounds if transcribes else [key for key in sounds if texts[key]]
    for key in used:
        if not id_of(key):
            findings.refuse("InvalidClipId", f"{shown(key)} has no letter or digit in its name; rename it")
    long = tuple(LongRecording(id_of(key), key, texts[key]) for key in used if id_of(key))
    if not long:
        raise BadData(_nothing_to_train(store, sounds), reason="MetadataMissing")
    for key in [] if transcribes else without:
        findings.refuse(
            "TranscriptMissing",
            f"{shown(key)} has no text: put it beside the recording as {shown(_without_suffix(key) + '.txt')}",
            id_of(key),
        )
    for key in sorted(set(everywhere) - set(sounds)):
        findings.warn("ClipNotListed", f"{shown(key)} lies in a folder, no list names it, and it is not used")
    for one, count in Counter(one.id for one in long).items():
        if count > 1:
            findings.refuse("DuplicateId", f"{count} recordings have the id {shown(one)}; rename them", one)
    word = "recording" if len(long) == 1 else "recordings"
    told = f", {len(without)} without a text" if without and transcribes else " with a text beside it"
    return Dataset(f"no list of clips; {len(long)} {word}{told}", (), long)


def _texts_beside(sounds: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Return the key of each sound's text; empty: it has none."""
    texts = {_nfc(key): key for key in keys}
    found = {}
    for key in sounds:
        bare = _without_suffix(_nfc(key))
        names = [bare + suffix for suffix in TEXTS] + [_nfc(key) + suffix for suffix in TEXTS]
        if len(sounds) == 1:
            names += [WHOLE_TEXT + suffix for suffix in TEXTS]
        found[key] = next((texts[name] for name in names if name in texts), "")
    return found


def _nothing_to_train(store: Store, sounds: Sequence[str]) -> str:
    if len(sounds) == 1:
        return (
            f"{store.uri} has one recording, {shown(sounds[0])}, and no text of it; put what is said in it into "
            f"{WHOLE_TEXT}.txt beside it, or give the installation a recogniser (chart value recogniser)"
        )
    return (
        f"{store.uri}/{LISTS[0]} does not exist; it lists the clips, one line each: id|text; or give each recording "
        "a text of its own name, as in talk.wav and talk.txt"
    )


def id_of(name: str) -> str:
    """Return a clip's id: its file's name without folder and extension, spaces and the like as _; empty: none."""
    last = _nfc(name).rpartition("/")[2]
    stem = PurePosixPath(last).stem if is_sound(last) else last
    cleaned = re.sub(r"^[^\w]+", "", re.sub(r"[^\w.-]+", "_", stem))
    fits = CLIP_ID.fullmatch(cleaned) and len(cleaned.encode()) <= ID_BYTES and ".." not in cleaned
    return cleaned if fits and any(sign.isalnum() for sign in cleaned) else ""


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _without_suffix(key: str) -> str:
    return key[: -len(PurePosixPath(key).suffix)] if is_sound(key) else key
