"""Hostile files end in a sentence, and nothing is read or fetched that is not the file."""

import ctypes
import gzip
import io
import os
import re
import select
import socket
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_trainer.recordings.containers import has_loose_aac, mend_wav
from voice_trainer.recordings.decoding import DECODED_SECONDS, Decoders, Undecodable

IN_ACCESS_OR_OPEN = 0x01 | 0x20
MIB = 1 << 20
GARBAGE = bytes(np.random.default_rng(5).integers(0, 256, 20000, dtype=np.uint8))


@dataclass
class Trap:
    """What no decoder may touch: a file beside the recording, and a server on this machine."""

    folder: Path
    canary: Path
    watch: int
    server: socket.socket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.getsockname()[1]}/canary.wav"

    @property
    def touched(self) -> bool:
        readable, _, _ = select.select([self.watch, self.server], [], [], 0)
        return bool(readable)


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    libc = ctypes.CDLL(None, use_errno=True)
    canary = tmp_path / "canary.wav"
    soundfile.write(canary, 0.5 * np.sin(np.arange(48000) * 0.2), 16000)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, str(canary).encode(), IN_ACCESS_OR_OPEN) >= 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Trap(tmp_path, canary, watch, server)
    os.close(watch)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders() as decoders:
        yield decoders


def ffmpeg(*options: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *options], check=True, stdin=subprocess.DEVNULL)


def a_tone(path: Path, *options: str, seconds: float = 2.0) -> bytes:
    """A tone in the format that the options and the path's extension say."""
    ffmpeg("-f", "lavfi", "-i", f"sine=frequency=300:duration={seconds}", *options, path)
    return path.read_bytes()


def wav(channels: int = 1, rate: int = 16000, bits: int = 16, data: bytes = bytes(64000), tag: int = 1) -> bytes:
    """A WAV whose header says what the arguments say."""
    width = channels * bits // 8 & 0xFFFF
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, tag, channels, rate, rate * width & 0xFFFFFFFF, width, bits)
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_outside_data(trap: Trap, kind: bytes, reference: bytes) -> bytes:
    """An MP4 whose samples lie in another file, as its data reference says."""
    data = a_tone(trap.folder / "tone.m4a", "-c:a", "aac")
    old = struct.pack(">I4sI", 12, b"url ", 1)
    assert data.count(old) == 1
    place = data.index(old)
    new = struct.pack(">I4sI", 12 + len(reference), kind, 0) + reference
    grown = bytearray(data[:place] + new + data[place + len(old) :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = grown.index(name) - 4
        (size,) = struct.unpack_from(">I", grown, at)
        struct.pack_into(">I", grown, at, size + len(reference))
    return bytes(grown)


def an_alias(path: Path) -> bytes:
    """A data reference as the Finder writes it: 150 bytes, then tagged values, of which 2 is the path."""
    name = str(path).encode()
    name += b"\0" * (len(name) % 2)
    return bytes(150) + struct.pack(">HH", 2, len(name)) + name + struct.pack(">Hh", 18, 0) + struct.pack(">hH", -1, 0)


def an_mp4_with_an_alias(trap: Trap) -> bytes:
    return with_outside_data(trap, b"alis", an_alias(trap.canary))


def avi_with_a_playlist(trap: Trap) -> bytes:
    """An AVI whose subtitles are a playlist: what made ffmpeg read files of its host in 2017."""
    playlist = f"#EXTM3U\n#EXTINF:1,\n{trap.url}\n".encode()
    gab2 = b"GAB2\0\x02\0" + struct.pack("<I", 0) + b"\x04\0" + struct.pack("<I", len(playlist)) + playlist
    header = b"hdrl" + b"strh" + struct.pack("<I", 56) + b"txts" + bytes(52)
    body = b"AVI LIST" + struct.pack("<I", len(header)) + header
    body += b"LIST" + struct.pack("<I", len(gab2) + 12) + b"movi00tx" + struct.pack("<I", len(gab2)) + gab2
    return b"RIFF" + struct.pack("<I", len(body)) + body


def a_picture(kind: str) -> Callable[[Trap], bytes]:
    def make(trap: Trap) -> bytes:
        ffmpeg("-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1", trap.folder / f"picture.{kind}")
        return (trap.folder / f"picture.{kind}").read_bytes()

    return make


def a_silent_video(trap: Trap) -> bytes:
    ffmpeg("-f", "lavfi", "-i", "color=red:size=64x64:duration=2", "-c:v", "mpeg4", trap.folder / "video.mp4")
    return (trap.folder / "video.mp4").read_bytes()


def a_zip(trap: Trap) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.wav", bytes(10 * MIB))
    return buffer.getvalue()


def a_thousand_channels_of_caf(_: Trap) -> bytes:
    description = struct.pack(">d4sIIIII", 48000.0, b"lpcm", 0, 2000, 1, 1000, 16)
    return (
        b"caff\0\x01\0\0desc"
        + struct.pack(">q", len(description))
        + description
        + b"data"
        + struct.pack(">q", -1)
        + bytes(4 * MIB)
    )


def element(ident: bytes, *content: bytes) -> bytes:
    """An element of Matroska with its length in eight bytes."""
    data = b"".join(content)
    return ident + b"\x01" + len(data).to_bytes(7, "big") + data


def a_matroska(tracks: bytes, *clusters: bytes) -> bytes:
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", tracks), *clusters)


def a_track(number: int, *more: bytes) -> bytes:
    """A mono track of PCM at 16 kHz."""
    audio = element(b"\xe1", element(b"\xb5", struct.pack(">d", 16000)), element(b"\x9f", b"\1"))
    named = number.to_bytes(2, "big")
    return element(
        b"\xae", element(b"\xd7", named), element(b"\x73\xc5", named), element(b"\x83", b"\2"),
        element(b"\x86", b"A_PCM/INT/LIT"), audio, *more,
    )  # fmt: skip


def a_compressed_track(_: Trap) -> bytes:
    """One block of Matroska that becomes 100 MiB."""
    compressed = element(b"\x50\x34", element(b"\x42\x54", b"\0"))
    encoded = element(b"\x6d\x80", element(b"\x62\x40", element(b"\x50\x32", b"\1"), compressed))
    block = element(b"\xa3", b"\x81\0\0\x80", zlib.compress(bytes(100 * MIB), 1))
    return a_matroska(a_track(1, encoded), element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\0"), block))


def a_compressed_index(_: Trap) -> bytes:
    """A QuickTime index in zlib that says it has four billion bytes."""
    data = struct.pack(">I", 0xFFFFFFF0) + zlib.compress(bytes(20 * MIB), 1)
    inner = struct.pack(">I8s", 12, b"dcomzlib") + struct.pack(">I4s", len(data) + 8, b"cmvd") + data
    moved = struct.pack(">I4s", len(inner) + 8, b"cmov") + inner
    return struct.pack(">I4s4sII4s", 16, b"ftyp", b"qt  ", 0, len(moved) + 8, b"moov") + moved


def a_compressed_tag(_: Trap) -> bytes:
    """An ID3 tag in zlib that says it has 256 MiB, before an empty frame of MP3."""
    data = zlib.compress(bytes(20 * MIB), 1)
    size, whole = (bytes(n >> shift & 0x7F for shift in (21, 14, 7, 0)) for n in (len(data) + 4, len(data) + 14))
    frame = b"TXXX" + size + b"\0\x09" + b"\x7f\x7f\x7f\x7f" + data
    return b"ID3\4\0\0" + whole + frame + b"\xff\xfb\x90\0" + bytes(413)


def an_aiff(rate: bytes) -> bytes:
    """An AIFF whose rate is a float of ten bytes."""
    body = b"AIFFCOMM" + struct.pack(">IhIh", 18, 1, 1000, 16) + rate
    body += b"SSND" + struct.pack(">III", 2008, 0, 0) + bytes(2000)
    return b"FORM" + struct.pack(">I", len(body)) + body


def a_caf_with_a_table(_: Trap) -> bytes:
    """A CAF of AAC whose table says that it has 2^62 packets."""
    description = struct.pack(">d4sIIIII", 48000.0, b"aac ", 0, 0, 1024, 1, 0)
    table = struct.pack(">qqii", 1 << 62, 1 << 62, 0, 0) + GARBAGE
    chunks = b"".join(
        name + struct.pack(">q", len(data)) + data for name, data in ((b"desc", description), (b"pakt", table))
    )
    return b"caff\0\1\0\0" + chunks + b"data" + struct.pack(">q", -1) + GARBAGE


def opus_with_comments(_: Trap) -> bytes:
    """Opus in Ogg whose second page says that four billion comments follow."""
    pages = [
        b"OpusHead\1\1\0\0\x80\xbb\0\0\0\0\0",
        b"OpusTags" + struct.pack("<I4sI", 4, b"none", 0xFFFFFFFF) + GARBAGE[:900],
    ]
    made = b""
    for number, data in enumerate(pages):
        segments = bytes([255] * (len(data) // 255) + [len(data) % 255])
        made += b"OggS\0" + bytes([2 * (number == 0)]) + struct.pack("<qIII", 0, 7, number, 0)
        made += bytes([len(segments)]) + segments + data
    return made


def an_experimental_codec(trap: Trap) -> bytes:
    return a_tone(trap.folder / "tone.mkv", "-strict", "-2", "-c:a", "sonic")


def of(data: bytes) -> Callable[[Trap], bytes]:
    return lambda _: data


def says(text: str) -> Callable[[Trap], bytes]:
    """A text about the trap's URL and canary."""
    return lambda trap: text.format(url=trap.url, canary=trap.canary, port=trap.server.getsockname()[1]).encode()


NAN = struct.pack("<f", float("nan"))
DAMAGED = "nothing in it can be decoded as sound"
HOSTILE = {
    "HLS playlist of a URL": (says("#EXTM3U\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"), "a playlist"),
    "HLS playlist of a file": (says("#EXTM3U\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n"), "a playlist"),
    "HLS behind an ID3 tag": (says("ID3\4\0\0\0\0\0\0#EXTM3U\n#EXTINF:1,\n{url}\n"), DAMAGED),
    "list of ffmpeg's concat": (says("ffconcat version 1.0\nfile '{canary}'\nfile '{url}'\n"), "a playlist"),
    "PLS playlist": (says("[playlist]\nFile1={url}\nNumberOfEntries=1\n"), "a playlist"),
    "DASH manifest": (says('<?xml version="1.0"?>\n<MPD><BaseURL>{url}</BaseURL></MPD>'), "a playlist"),
    "ASX redirector": (says('<asx version="3"><entry><ref href="{url}"/></entry></asx>'), "a playlist"),
    "SDP session": (says("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio {port} RTP/AVP 0\n"), "a text"),
    "a URL": (says("{url}"), "a text"),
    "AVI with a playlist as subtitles": (avi_with_a_playlist, "an AVI video"),
    "MP4 with its samples in another file": (an_mp4_with_an_alias, DAMAGED),
    "MP4 without its index": (lambda trap: a_tone(trap.folder / "t.m4a", "-c:a", "aac")[:9000], DAMAGED),
    "MP4 with an index of four billion entries": (
        of(struct.pack(">I4s4sII4s", 16, b"ftyp", b"M4A ", 0, 0xFFFFFFF0, b"moov") + GARBAGE), DAMAGED,
    ),
    "video without sound": (a_silent_video, DAMAGED),
    "WAV of 1,000 channels": (of(wav(channels=1000)), "1000 channels"),
    "CAF of 1,000 channels": (a_thousand_channels_of_caf, "channels|can be decoded"),
    "WAV of one sample a second": (of(wav(rate=1)), "1 Hz"),
    "WAV of four GHz": (of(wav(rate=0xFFFFFFFF)), "."),
    "WAV without channels": (of(wav(channels=0)), DAMAGED),
    "WAV of numbers that are none": (of(wav(bits=32, tag=3, data=NAN * 9999)), "not finite"),
    "WAV of an unknown codec": (of(wav(tag=0x7777)), DAMAGED),
    "WAV of nothing but its first bytes": (of(wav()[:12]), DAMAGED),
    "FLAC cut in its header": (lambda trap: a_tone(trap.folder / "t.flac")[:30], DAMAGED),
    "FLAC of garbage": (of(b"fLaC" + GARBAGE), DAMAGED),
    "Ogg of garbage": (of(b"OggS" + GARBAGE), DAMAGED),
    "MP3 of garbage": (of(b"\xff\xfb" + bytes(20000)), DAMAGED),
    "Matroska of garbage": (of(b"\x1aE\xdf\xa3" + GARBAGE), DAMAGED),
    "WMA of garbage": (of(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c" + GARBAGE), DAMAGED),
    "AIFF of garbage": (of(b"FORM\0\0\1\0AIFF" + GARBAGE), DAMAGED),
    "CAF of garbage": (of(b"caff\0\1" + GARBAGE), DAMAGED),
    "ID3 tag of 256 MiB": (of(b"ID3\4\0\0\x7f\x7f\x7f\x7f" + GARBAGE), DAMAGED),
    "UTF-16 text": (of("clip|text".encode("utf-16")), DAMAGED),
    "SRT subtitles": (of(b"1\n00:00:01,000 --> 00:00:02,000\nHello.\n"), "subtitles"),
    "WebVTT subtitles": (of(b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n"), "subtitles"),
    "ASS subtitles": (of(b"[Script Info]\nTitle: x\n"), "subtitles"),
    "PNG picture": (a_picture("png"), "a PNG picture"),
    "JPEG picture": (a_picture("jpg"), "a JPEG picture"),
    "GIF picture": (a_picture("gif"), "a GIF picture"),
    "ZIP archive": (a_zip, "a ZIP archive"),
    "gzip bomb": (of(gzip.compress(bytes(100 * MIB), 1)), "a gzip archive"),
    "PDF document": (of(b"%PDF-1.7\n"), "a PDF document"),
    "web page": (of(b"<!DOCTYPE html><html>"), "a web page"),
    "program": (of(b"\x7fELF" + bytes(100)), "a program"),
    "MIDI file": (of(b"MThd\0\0\0\6"), "a MIDI file"),
    "pointer of Git LFS": (of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "a pointer of Git LFS"),
    "empty file": (of(b""), "empty"),
    "Matroska with a block that grows": (a_compressed_track, DAMAGED),
    "Matroska of 5,000 tracks": (of(a_matroska(b"".join(map(a_track, range(1, 5001))))), DAMAGED),
    "QuickTime with an index that grows": (a_compressed_index, DAMAGED),
    "MP3 with a tag that grows": (a_compressed_tag, DAMAGED),
    "Matroska with an experimental codec": (an_experimental_codec, DAMAGED),
    "AIFF of an infinite rate": (of(an_aiff(b"\x7f\xff\x80" + bytes(7))), DAMAGED),
    "CAF of 2^62 packets": (a_caf_with_a_table, DAMAGED),
    "Opus with four billion comments": (opus_with_comments, DAMAGED),
    "TTA of four billion samples": (
        of(b"TTA1" + struct.pack("<HHHIII", 1, 0xFFFF, 16, 16000, 0xFFFFFFFF, 0) + GARBAGE), DAMAGED,
    ),
    "Monkey's Audio of four billion frames": (
        of(b"MAC " + struct.pack("<HHII", 3990, 0, 52, 24) + b"\xff" * 60 + GARBAGE), DAMAGED,
    ),
    "AU of four billion channels": (of(b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 16000, 0xFFFFFFFF)), DAMAGED),
    "Wave64 of 2^63 bytes": (
        of(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + struct.pack("<Q", (1 << 63) - 1) + GARBAGE), DAMAGED,
    ),
    "WavPack of four billion channels": (of(b"wvpk" + struct.pack("<IH", 0xFFFFFFF0, 0x410) + b"\xff" * 22), DAMAGED),
    "AC-3 of garbage": (of(b"\x0bw" + GARBAGE), DAMAGED),
    "WAV of empty chunks": (of(wav()[:12] + bytes(MIB // 4)), DAMAGED),
    "random bytes": (of(b"\x01" + GARBAGE), "none of the formats"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_ends_in_a_sentence(trap: Trap, decoders: Decoders, kind: str) -> None:
    make, said = HOSTILE[kind]
    path = trap.folder / "clip%03d.wav"  # which is a pattern of files to ffmpeg's reader of image sequences
    path.write_bytes(make(trap))
    while trap.touched:  # by making the file
        os.read(trap.watch, 4096)
    with pytest.raises(Undecodable) as raised:
        decoders.to_mono(path, trap.folder / "mono.wav")
    sentence = str(raised.value)
    assert re.search(said, sentence)
    assert str(trap.folder) not in sentence
    assert sentence.isprintable()
    assert len(sentence) < 200
    assert not trap.touched
    assert not list(trap.folder.glob(".*.all")), "nothing is left over"


def test_the_trap_notices_what_touches_it(trap: Trap) -> None:
    assert not trap.touched
    trap.canary.read_bytes()
    assert trap.touched
    os.read(trap.watch, 4096)
    with socket.create_connection(trap.server.getsockname()):
        assert trap.touched


def test_two_gigabytes_of_zeros_cost_nothing(trap: Trap, decoders: Decoders) -> None:
    path = trap.folder / "zeros.wav"
    with path.open("wb") as file:
        file.truncate(2048 * MIB)
    begun = time.monotonic()
    with pytest.raises(Undecodable, match="it is nothing but zeros, not sound"):
        decoders.to_mono(path, trap.folder / "mono.wav")
    with path.open("r+b") as file:
        file.write(wav()[:44])
    decoded = decoders.to_mono(path, trap.folder / "mono.wav")
    assert decoded.seconds <= DECODED_SECONDS
    assert time.monotonic() - begun < 10


def test_a_wav_of_a_million_empty_chunks_is_not_walked_through(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(wav()[:12] + bytes(8 * MIB))
    begun = time.process_time()
    assert not mend_wav(path)
    assert not has_loose_aac(path)
    assert time.process_time() - begun < 1, "a thousand are enough; all of them took minutes in 64 MiB"


def test_hours_in_a_small_file_are_decoded_no_further_than_a_clip(trap: Trap, decoders: Decoders) -> None:
    path = trap.folder / "hours.mka"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=7200", "-c:a", "flac", path)
    assert path.stat().st_size < 3 * MIB
    assert decoders.to_mono(path, trap.folder / "mono.wav").seconds == pytest.approx(DECODED_SECONDS, abs=0.1)
    assert (trap.folder / "mono.wav").stat().st_size < 20 * MIB


def test_sound_with_something_else_in_it_is_sound(trap: Trap, decoders: Decoders) -> None:
    tagged = trap.folder / "tagged.m4a"
    a_tone(trap.folder / "plain.m4a", "-c:a", "aac")
    comment = "x" * 100_000
    ffmpeg("-i", trap.folder / "plain.m4a", "-c", "copy", "-metadata", f"comment={comment}", tagged)
    polyglot = trap.folder / "polyglot.wav"
    polyglot.write_bytes(a_tone(trap.folder / "plain.wav") + a_zip(trap))
    referring = trap.folder / "referring.m4a"
    referring.write_bytes(with_outside_data(trap, b"url ", f"file://{trap.canary}".encode() + b"\0"))
    for path in (tagged, polyglot, referring):
        assert decoders.to_mono(path, trap.folder / "mono.wav").seconds == pytest.approx(2, abs=0.15)
    assert not trap.touched
