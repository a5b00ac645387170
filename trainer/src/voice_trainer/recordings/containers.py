"""Which format a file's first bytes have, whatever it is called, and which of ffmpeg's demuxers reads it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

HEAD: Final = 4096  # bytes that are looked at
_ID3_HEADER: Final = 10  # bytes before the tag's content
_UNTIL_END: Final = (0, 0xFFFFFFFF)  # sizes that programs write which do not know it yet
_AAC_TAGS: Final = (0x00FF, 0x1600, 0x1601, 0x1602, 0x1610, 0xA106)  # of the samples' format
_CHUNK: Final = struct.Struct("<4sI")
_CHUNKS: Final = 1000  # of a RIFF file that are looked at; recorders write some ten


class NotSound(Exception):
    """The file is no sound in a format that is taken; the message says what it is."""


@dataclass(frozen=True)
class Container:
    """A format of sound files."""

    name: str
    demuxer: str  # ffmpeg's
    by_libsndfile: bool = False


WAV: Final = Container("WAV", "wav", by_libsndfile=True)
FLAC: Final = Container("FLAC", "flac", by_libsndfile=True)
OGG: Final = Container("Ogg", "ogg", by_libsndfile=True)
MP3: Final = Container("MP3", "mp3", by_libsndfile=True)
AAC: Final = Container("AAC (ADTS)", "aac")

# What begins a file: no playlist, no list of other files, no subtitles, no pictures.
_SOUNDS: Final[tuple[tuple[re.Pattern[bytes], Container], ...]] = (
    (re.compile(rb"(?:RIFF|RIFX|RF64)....WAVE", re.DOTALL), WAV),
    (re.compile(rb"fLaC"), FLAC),
    (re.compile(rb"OggS"), OGG),
    (re.compile(rb"....ftyp", re.DOTALL), Container("MP4", "mov")),
    (re.compile(rb"....(?:moov|mdat|wide|free)", re.DOTALL), Container("QuickTime (MOV)", "mov")),
    (re.compile(rb"\x1aE\xdf\xa3"), Container("Matroska or WebM", "matroska")),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"), Container("WMA", "asf")),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), Container("AIFF", "aiff")),
    (re.compile(rb"caff\x00\x01"), Container("CAF", "caf")),
    (re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"), Container("Wave64", "w64")),
    (re.compile(rb"\.snd"), Container("AU", "au")),
    (re.compile(rb"#!AMR"), Container("AMR", "amr")),
    (re.compile(rb"wvpk"), Container("WavPack (WV)", "wv")),
    (re.compile(rb"MAC "), Container("Monkey's Audio", "ape")),
    (re.compile(rb"TTA[12]"), Container("TTA", "tta")),
    (re.compile(rb"\x0bw"), Container("AC-3", "ac3")),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), AAC),  # MPEG's mark with layer 0
    (re.compile(rb"\xff[\xe2-\xe7\xea-\xef\xf2-\xf7\xfa-\xff]"), MP3),
)
_OTHERS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"\x89PNG"), "a PNG picture"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG picture"),
    (re.compile(rb"GIF8"), "a GIF picture"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "a WebP picture"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "an AVI video"),
    (re.compile(rb"FLV\x01"), "a Flash video"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"7z\xbc\xaf"), "a 7-Zip archive"),
    (re.compile(rb"Rar!"), "a RAR archive"),
    (re.compile(rb"\x7fELF|MZ"), "a program"),
    (re.compile(rb"MThd"), "a MIDI file, which holds notes and no sound"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS in place of the file"),
    (re.compile(rb"\s*#EXTM3U|\s*\[playlist\]|ffconcat", re.IGNORECASE), "a playlist"),
    (re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:MPD|asx|smil|playlist)\b", re.IGNORECASE), "a playlist"),
    (re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE), "a web page"),
    (re.compile(rb"\s*<"), "XML"),
    (re.compile(rb"WEBVTT|\d+\r?\n\d\d:\d\d:\d\d,\d\d\d -->|\[Script Info\]"), "subtitles"),
    (re.compile(rb"\0+\Z"), "nothing but zeros"),
    (re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+\Z"), "a text"),
)


def container_of(path: Path) -> Container:
    """Return the format that a file's first bytes have.

    Raises:
        NotSound: it is none that is taken.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head[:3] == b"ID3" and len(head) >= _ID3_HEADER:  # a tag before the sound; seven bits in each byte
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            file.seek(_ID3_HEADER + size)
            head = file.read(HEAD)
            return next((kind for kind in (FLAC, AAC) if kind is _sound(head)), MP3)
    found = _sound(head)
    if found is None:
        raise NotSound(f"it is {_other(head)}, not sound")
    return found


def mend_wav(path: Path) -> bool:
    """Write the size of a WAV's samples where the program that wrote it could not: the rest of the file.

    RF64 has its sizes elsewhere, and they count.

    Returns:
        Whether it was necessary.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        if file.read(4) != b"RIFF":
            return False
        length = _find_chunk(file, b"data")
        begin = file.tell()
        left = size - begin
        if length not in _UNTIL_END or not left or (length == 0 and _is_chunk(file.read(_CHUNK.size), left)):
            return False
        for place, value in ((begin - 4, left), (4, size - 8)):
            file.seek(place)
            file.write(struct.pack("<I", min(value, 0xFFFFFFFE)))
    return True


def has_loose_aac(path: Path) -> bool:
    """Return whether a WAV holds AAC without ADTS headers: then decoders find the first frames only."""
    with path.open("rb") as file:
        if _find_chunk(file, b"fmt ") is None or int.from_bytes(file.read(2), "little") not in _AAC_TAGS:
            return False
        return _find_chunk(file, b"data") is not None and _sound(file.read(2)) is not AAC


def _find_chunk(file: BinaryIO, wanted: bytes) -> int | None:
    """Go to the content of a RIFF file's first chunk of a name; return its size as it is written."""
    file.seek(12)
    for _ in range(_CHUNKS):
        if len(header := file.read(_CHUNK.size)) < _CHUNK.size:
            break
        name, length = _CHUNK.unpack(header)
        if name == wanted:
            return int(length)
        file.seek(length + length % 2, 1)
    return None


def _is_chunk(header: bytes, left: int) -> bool:
    """Return whether another chunk follows that fills the rest: the samples are really none."""
    if len(header) < _CHUNK.size:
        return False
    name, length = _CHUNK.unpack(header)
    return bool(name.isalnum()) and length + length % 2 + _CHUNK.size == left


def _sound(head: bytes) -> Container | None:
    return next((container for pattern, container in _SOUNDS if pattern.match(head)), None)


def _other(head: bytes) -> str:
    if not head:
        return "empty"
    return next((name for pattern, name in _OTHERS if pattern.match(head)), "none of the formats that are taken")
