"""What the files of a dataset are called: sounds by their extensions, clips by their ids, and what a list may mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.shapes import shorten

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
CLIP_ID = re.compile(r"\w[\w.-]{0,119}")
ID_BYTES = 200  # a file's name has 255, and ours have an extension


def is_sound(key: str) -> bool:
    """Whether a file's extension is one of sound."""
    return PurePosixPath(key).suffix[1:].lower() in SOUNDS


def id_of(name: str) -> str:
    """Return a clip's id: its file's name without folder and extension, spaces and the like as _; empty: none."""
    last = nfc(name).rpartition("/")[2]
    stem = PurePosixPath(last).stem if is_sound(last) else last
    cleaned = re.sub(r"^[^\w]+", "", re.sub(r"[^\w.-]+", "_", stem))
    fits = CLIP_ID.fullmatch(cleaned) and len(cleaned.encode()) <= ID_BYTES and ".." not in cleaned
    return cleaned if fits and any(sign.isalnum() for sign in cleaned) else ""


def nfc(text: str) -> str:
    """Return a name as it is compared: an accent is composed with its letter or it is not."""
    return unicodedata.normalize("NFC", text)


def without_suffix(key: str) -> str:
    """Return a file's key without the extension of a sound."""
    return key[: -len(PurePosixPath(key).suffix)] if is_sound(key) else key


class Files:
    """The dataset's sound files, found by whatever a list calls them; names are compared by NFC."""

    def __init__(self, keys: Sequence[str], findings: FindingList) -> None:
        self.sounds = tuple(key for key in keys if is_sound(key))
        for key in keys:
            if key.startswith(CLIPS) and not is_sound(key):
                findings.refuse(
                    "UnreadableClip", f"{shorten(key)} is no sound by its extension; convert, rename or move it"
                )
        self._by_name: dict[str, list[str]] = {}
        for key in self.sounds:
            whole = nfc(key)
            for name in {whole, without_suffix(whole), whole.rpartition("/")[2], PurePosixPath(whole).stem}:
                self._by_name.setdefault(name, []).append(key)

    def find(self, written: str) -> list[str]:
        """Return the files that a list's name may mean, best first; several: it is not clear which.

        An official list has the paths of another machine, so the last part of a path counts where the whole is nowhere.
        """
        name = nfc(written).replace("\\", "/").removeprefix("./")
        if ".." in name.split("/"):
            return []
        bare = without_suffix(name)
        wanted = [CLIPS + name, name, CLIPS + bare, bare]
        if is_sound(name):
            wanted += [name.rpartition("/")[2], bare.rpartition("/")[2]]
        return next((self._by_name[one] for one in wanted if one in self._by_name), [])
