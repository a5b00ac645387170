"""Samples as audio files: every format that clients ask for, sentence by sentence, at another tempo where asked.

FFmpeg does it, as a library (PyAV): muxers, encoders, and the filter ``atempo``, which changes the tempo and keeps the
pitch (https://ffmpeg.org/ffmpeg-filters.html#atempo).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, cast

import av
import numpy as np
from av.filter import Graph

from voice_inference.engine.audio import Samples, to_pcm

FormatName = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
TEMPO_STEP: Final = 2.0  # atempo skips samples beyond this; more is several filters in a row


@dataclass(frozen=True)
class Format:
    """How FFmpeg makes a format. One that does not stream has its length in its header, so it comes as a whole."""

    media_type: str
    muxer: str
    codec: str
    streams: bool = True
    rate: int = 0  # that the codec wants; 0: the voice's own
    bit_rate: int = 0  # 0: nothing is lost, and the samples are those of ``pcm``
    options: Mapping[str, str] = field(default_factory=dict)  # of the muxer


FORMATS: Final[Mapping[str, Format]] = {
    "mp3": Format(
        "audio/mpeg", "mp3", "libmp3lame", bit_rate=96_000, options={"write_xing": "0", "id3v2_version": "3"}
    ),
    "opus": Format("audio/ogg", "ogg", "libopus", rate=48_000, bit_rate=48_000, options={"page_duration": "100000"}),
    "aac": Format("audio/aac", "adts", "aac", bit_rate=96_000, options={"write_id3v2": "1"}),
    "flac": Format("audio/flac", "flac", "flac", streams=False),
    "wav": Format("audio/wav", "wav", "pcm_s16le", streams=False),
}
PCM: Final = "pcm"
NAMES: Final = (*FORMATS, PCM)


class Encoder(Protocol):
    """Takes samples and gives the bytes that are ready."""

    def feed(self, samples: Samples) -> bytes:
        """Encode float32 (samples,) at the voice's rate; what comes out may lag behind."""

    def finish(self) -> bytes:
        """Return the rest; nothing may be fed after it."""


def open_encoder(name: str, rate: int, *, speed: float = 1.0, tags: Mapping[str, str] | None = None) -> Encoder:
    """Return an encoder.

    Args:
        name: one of ``NAMES``; ``pcm`` is signed 16-bit little-endian without a header.
        rate: of the samples, in Hz.
        speed: 2 is twice as fast, 0.5 half as fast; the pitch stays.
        tags: what the file says of itself, where the format has a place for it.
    """
    tempo = Tempo(rate, speed) if speed != 1.0 else None
    if name == PCM:
        return _Pcm(tempo)
    return _File(FORMATS[name], rate, tempo, tags or {})


def streams(name: str) -> bool:
    """Tell whether what is encoded of a format can be heard before the rest is there."""
    return name == PCM or (name in FORMATS and FORMATS[name].streams)


class Tempo:
    """Changes how fast it is spoken, at the same pitch."""

    def __init__(self, rate: int, speed: float) -> None:
        self._rate = rate
        self._graph = graph = Graph()
        nodes = [graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")]
        nodes += [graph.add("atempo", f"{step:.9f}") for step in tempo_steps(speed)]
        nodes.append(graph.add("abuffersink"))
        graph.link_nodes(*nodes).configure()

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready at the new tempo."""
        self._graph.push(to_frame(samples, self._rate))
        return self._pull()

    def finish(self) -> Samples:
        """Return the rest."""
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> Samples:
        ready = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            ready.append(frame.to_ndarray().reshape(-1))
        return np.concatenate(ready) if ready else np.zeros(0, dtype=np.float32)


def tempo_steps(speed: float) -> list[float]:
    """Return factors between 1/2 and 2 whose product is the speed."""
    steps = []
    while not 1 / TEMPO_STEP <= speed <= TEMPO_STEP:
        step = TEMPO_STEP if speed > 1 else 1 / TEMPO_STEP
        steps.append(step)
        speed /= step
    return [*steps, speed]


class _Pcm:
    def __init__(self, tempo: Tempo | None) -> None:
        self._tempo = tempo

    def feed(self, samples: Samples) -> bytes:
        return to_pcm(self._tempo.feed(samples) if self._tempo else samples)

    def finish(self) -> bytes:
        return to_pcm(self._tempo.finish()) if self._tempo else b""


class _File:
    """One muxer, whose bytes are taken away as they come; of a format that does not stream, all at the end."""

    def __init__(self, form: Format, rate: int, tempo: Tempo | None, tags: Mapping[str, str]) -> None:
        self._form, self._rate, self._tempo = form, rate, tempo
        self._sink: io.BytesIO = io.BytesIO() if not form.streams else _Pipe()
        # Without its own name and version in the file the same samples give the same bytes everywhere.
        options = {"fflags": "+bitexact", **form.options}
        self._container = av.open(self._sink, "w", format=form.muxer, options=options)
        self._container.metadata.update(tags)
        self._stream = cast(
            "av.AudioStream", self._container.add_stream(form.codec, rate=form.rate or rate, layout="mono")
        )
        self._stream.codec_context.flags |= av.codec.context.Flags.bitexact
        if form.bit_rate:
            self._stream.codec_context.bit_rate = form.bit_rate
        self._position = 0

    def feed(self, samples: Samples) -> bytes:
        self._encode(self._tempo.feed(samples) if self._tempo else samples)
        return self._take()

    def finish(self) -> bytes:
        if self._tempo:
            self._encode(self._tempo.finish())
        self._mux(self._stream.encode(None))
        self._container.close()
        return self._sink.getvalue() if not self._form.streams else self._take()

    def _encode(self, samples: Samples) -> None:
        if samples.size:
            frame = to_frame(np.clip(samples, -1.0, 1.0), self._rate, exact=not self._form.bit_rate)
            frame.pts = self._position
            self._position += samples.size
            self._mux(self._stream.encode(frame))

    def _mux(self, packets: Iterable[av.Packet[Any]]) -> None:
        for packet in packets:
            self._container.mux(packet)

    def _take(self) -> bytes:
        return self._sink.take() if isinstance(self._sink, _Pipe) else b""


class _Pipe(io.BytesIO):
    """A file that can only be written on: a muxer that cannot go back writes what a stream needs."""

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data


def to_frame(samples: Samples, rate: int, *, exact: bool = False) -> av.AudioFrame:
    """Return FFmpeg's frame; an exact one has the rounded samples, which no encoder rounds otherwise."""
    values = np.frombuffer(to_pcm(samples), dtype="<i2") if exact else np.ascontiguousarray(samples, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(values[None], format="s16" if exact else "flt", layout="mono")
    frame.sample_rate = rate
    return frame
