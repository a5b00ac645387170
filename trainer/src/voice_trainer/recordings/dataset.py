"""The dataset as uploaded: its list and files matched with one another, and all that is wrong with them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from voice_store import InvalidKey, Store, check_key
from voice_trainer.errors import BadData
from voice_trainer.recordings.fetching import DatasetDigest, read_text
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.names import CLIPS, Files, id_of, is_sound, nfc, without_suffix
from voice_trainer.recordings.shapes import Listing, Row, count_lines, read_listing, shorten

logger = logging.getLogger(__name__)

LISTS = ("metadata.csv", "metadata.jsonl", "metadata.txt", "metadata.list")  # and any one *.list
LINES_LIMIT = 100_000  # of a list; LJSpeech, a day of speech, has 13,100
IGNORED = re.compile(r"(?i)thumbs\.db|desktop\.ini|(readme|licen[cs]e)(\.(rst|txt))?|.*\.md")  # Windows' and notes
TEXT_LIMIT = 1000  # characters; a minute of fast speech has some 900
TIMED = (".srt", ".vtt")
TEXTS = (*TIMED, ".txt")  # in this order, where a recording has several
WHOLE_TEXT = "transcript"
SPEAKERS_SHOWN = 5


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
        if (count := count_lines(text)) > LINES_LIMIT:
            raise BadData(
                f"{name} has {count} lines, at most {LINES_LIMIT} are taken; list the clips of one speaker",
                reason="MetadataTooLarge",
            )
        listing = read_listing(text)
        notes = [f"in {encoding}"] if encoding else []
        shape = "; ".join([f"{name} has lines of {listing.form}", *notes, *listing.notes])
        dataset = Dataset(shape, _listed(name, listing, keys, findings, language))
    else:
        dataset = _unlisted(store, keys, findings, transcribes=transcribes)
    logger.info("%s", dataset.shape)
    return dataset


def _keys(store: Store, findings: FindingList) -> tuple[str, ...]:
    """Return the dataset's files without hidden ones, .DS_Store, ._clip.flac and the like, and without notes."""
    keys = []
    for key in (entry.key for entry in store.list()):
        if any(part.startswith(".") or part == "__MACOSX" for part in key.split("/")) or key.endswith("/"):
            continue
        if IGNORED.fullmatch(key.rpartition("/")[2]):
            continue
        try:
            keys.append(check_key(key))
        except InvalidKey:
            findings.refuse("InvalidClipId", f"{shorten(key)} is no name of a file that can be read; rename it")
    return tuple(keys)


def _list_key(keys: Sequence[str], findings: FindingList) -> str:
    """Return the key of the dataset's list, or nothing; where all sounds lie in folders, it may lie in one of them."""
    lists = [key for key in keys if _is_list(key)]
    at_top = [key for key in lists if "/" not in key]
    has_sounds = any(is_sound(key) and "/" not in key.removeprefix(CLIPS) for key in keys)
    if at_top or has_sounds:
        lists = at_top
    if len(lists) > 1:
        names = " and ".join(shorten(key) for key in lists[:3])
        findings.refuse("SeveralLists", f"{names} both list clips; keep the one that is right")
    return min(lists, key=lambda key: LISTS.index(key) if key in LISTS else len(LISTS), default="")


def _is_list(key: str) -> bool:
    name = key.rpartition("/")[2]
    return name in LISTS or name.lower().endswith(".list")


def _listed(
    name: str, listing: Listing, keys: Sequence[str], findings: FindingList, language: str
) -> tuple[Recording, ...]:
    _require_one_voice(name, listing, findings, language)
    for number, fault in listing.faults:
        findings.refuse("BadMetadataRow", f"{name} line {number} {fault}")
    files = Files(keys, findings)
    clips = _clips_of(name, listing.rows, files, findings)
    _report_unlisted(name, files, clips, findings)
    return clips


def _require_one_voice(name: str, listing: Listing, findings: FindingList, language: str) -> None:
    speakers = Counter(row.speaker for row in listing.rows if row.speaker)
    if len(speakers) > 1:
        most = ", ".join(f"{shorten(who)} ({count})" for who, count in speakers.most_common(SPEAKERS_SHOWN))
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
            f"{shorten(code)}, the voice has {language!r}; correct spec.language or delete the lines",
        )


def _clips_of(name: str, rows: Iterable[Row], files: Files, findings: FindingList) -> tuple[Recording, ...]:
    clips: dict[str, Recording] = {}
    lines: dict[str, int] = {}  # of each clip's id
    for row in rows:
        where = f"{name} line {row.line}"
        found = files.find(row.name)
        named = nfc(row.name).replace("\\", "/")
        if not found and (".." in named or ("/" in named and not is_sound(named)) or not id_of(named)):
            findings.refuse(
                "InvalidClipId",
                f"{where} has the id {shorten(row.name)}; an id is a file's name, with or without its extension",
            )
            continue
        clip = id_of(found[0] if found else named)
        if clip in lines:
            findings.refuse(
                "DuplicateId",
                f"{where} repeats the id {shorten(row.name)} of line {lines[clip]}; delete one of the lines",
                clip,
            )
            continue
        lines[clip] = row.line
        _require_text(where, row, clip, findings)
        if len(found) > 1:
            findings.refuse(
                "DuplicateId", f"{' and '.join(shorten(key) for key in found[:3])} have the same id; delete one", clip
            )
        elif not found:
            findings.refuse(
                "TranscriptWithoutClip",
                f"{name} has a transcript for {shorten(row.name)}, but no file {CLIPS}{clip}.wav, .flac, .mp3, .m4a or "
                "the like exists; add the clip or delete the line",
                clip,
            )
        for key in found:
            clips.setdefault(clip, Recording(clip, row.text, key))
    return tuple(clips.values())


def _require_text(where: str, row: Row, clip: str, findings: FindingList) -> None:
    if not row.text:
        findings.refuse(
            "EmptyTranscript", f"{where} has no text for {shorten(row.name)}; write what is said in the clip", clip
        )
    elif len(row.text) > TEXT_LIMIT:
        findings.refuse(
            "TranscriptTooLong",
            f"{where} has {len(row.text)} characters for {shorten(row.name)}, at most {TEXT_LIMIT} are taken; cut it",
            clip,
        )


def _report_unlisted(name: str, files: Files, clips: Sequence[Recording], findings: FindingList) -> None:
    """Refuse sounds without a line where the list's clips lie; elsewhere they may be what the clips were cut from."""
    used = {clip.key for clip in clips}
    twins = {without_suffix(key) for key in used}  # reported as two files of one id
    folders = {CLIPS} | {key.rpartition("/")[0] + "/" for key in used}
    for key in files.sounds:
        if key in used or without_suffix(key) in twins:
            continue
        if key.rpartition("/")[0] + "/" in folders:
            findings.refuse(
                "ClipWithoutTranscript",
                f"{shorten(key)} has no line in {name}; add the line {PurePosixPath(key).stem}|<text> or delete the "
                "file",
                id_of(key),
            )
        else:
            findings.warn("ClipNotListed", f"{shorten(key)} has no line in {name} and is not used")


def _unlisted(store: Store, keys: Sequence[str], findings: FindingList, *, transcribes: bool) -> Dataset:
    """Return recordings whose texts lie beside them: NAME.txt, NAME.srt, NAME.vtt, or transcript.* for the only one."""
    everywhere = [key for key in keys if is_sound(key)]
    sounds = [key for key in everywhere if "/" not in key.removeprefix(CLIPS)]
    texts = _texts_beside(sounds, keys)
    without = [key for key in sounds if not texts[key]]
    used = sounds if transcribes else [key for key in sounds if texts[key]]
    for key in used:
        if not id_of(key):
            findings.refuse("InvalidClipId", f"{shorten(key)} has no letter or digit in its name; rename it")
    long = tuple(LongRecording(id_of(key), key, texts[key]) for key in used if id_of(key))
    if not long:
        raise BadData(_nothing_to_train(store, sounds), reason="MetadataMissing")
    for key in [] if transcribes else without:
        findings.refuse(
            "TranscriptMissing",
            f"{shorten(key)} has no text: put it beside the recording as {shorten(without_suffix(key) + '.txt')}",
            id_of(key),
        )
    for key in sorted(set(everywhere) - set(sounds)):
        findings.warn("ClipNotListed", f"{shorten(key)} lies in a folder, no list names it, and it is not used")
    for one, count in Counter(one.id for one in long).items():
        if count > 1:
            findings.refuse("DuplicateId", f"{count} recordings have the id {shorten(one)}; rename them", one)
    word = "recording" if len(long) == 1 else "recordings"
    told = f", {len(without)} without a text" if without and transcribes else " with a text beside it"
    return Dataset(f"no list of clips; {len(long)} {word}{told}", (), long)


def _texts_beside(sounds: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Return the key of each sound's text; empty: it has none."""
    texts = {nfc(key): key for key in keys}
    found = {}
    for key in sounds:
        bare = without_suffix(nfc(key))
        names = [bare + suffix for suffix in TEXTS] + [nfc(key) + suffix for suffix in TEXTS]
        if len(sounds) == 1:
            names += [WHOLE_TEXT + suffix for suffix in TEXTS]
        found[key] = next((texts[name] for name in names if name in texts), "")
    return found


def _nothing_to_train(store: Store, sounds: Sequence[str]) -> str:
    if len(sounds) == 1:
        return (
            f"{store.uri} has one recording, {shorten(sounds[0])}, and no text of it; put what is said in it into "
            f"{WHOLE_TEXT}.txt beside it, or give the installation a recogniser (chart value recogniser)"
        )
    return (
        f"{store.uri}/{LISTS[0]} does not exist; it lists the clips, one line each: id|text; or give each recording "
        "a text of its own name, as in talk.wav and talk.txt"
    )
