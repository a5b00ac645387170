"""From a recording in any format to a mono WAV of ours: libsndfile and ffmpeg, each apart from the job and bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from voice_trainer.errors import Transient
from voice_trainer.job import children
from voice_trainer.job.questions import Programs, ask, end
from voice_trainer.recordings import decoder_process
from voice_trainer.recordings.containers import WAV, Container, NotSound, container_of, has_loose_aac, mend_wav

Samples = NDArray[np.float32]  # mono, full scale is 1.0
Mix = Literal["", "inverted", "silent", "noisy"]

DECODED_SECONDS: Final = 70.0  # of sound, above the longest clip that is accepted
RATES: Final = (8_000, 192_000)  # Hz
CHANNELS: Final = 8
ANSWER_LIMIT: Final = 4096  # bytes of a decoder's answer
COPIED: Final = 1 << 20  # samples at a time
# ffmpeg's decoders that may be opened: none of videos, which it opens to look at them, none of games and experiments.
CODECS: Final = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,ape,dca,eac3,flac,g722,g726,gsm,gsm_ms,"
    "mp1float,mp2float,mp3,mp3float,opus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,"
    "pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,tta,vorbis,wavpack,wmalossless,wmapro,"
    "wmav1,wmav2,wmavoice"
)
WIDEST: Final = 48_000 * 6 * 4  # bytes a second that ffmpeg may write: 48 kHz, six channels, 32 bits


class Undecodable(Exception):
    """The bytes are no sound in a format that is taken."""


@dataclass(frozen=True)
class Decoded:
    """A recording as mono WAV (float32) in a file of ours."""

    path: Path
    rate: int  # Hz
    seconds: float  # at most as many as were asked for
    mix: Mix  # why not all channels were averaged


class Decoders(Programs["_Decoder"]):
    """Processes that decode recordings, as many as are asked at a time; safe to use from several threads."""

    def __init__(self, seconds: float = DECODED_SECONDS) -> None:
        """Decode at most ``seconds`` of each recording."""
        super().__init__()
        self.seconds = seconds
        self.bounds = children.Bounds(
            wall_seconds=max(60.0, seconds / 10),  # for one recording
            cpu_seconds=3600,  # for all that one process decodes
            memory=512 * children.MIB,
            file_bytes=int(seconds * RATES[1]) * 4 + 4096,
        )

    def to_mono(self, path: Path, target: Path) -> Decoded:
        """Write a recording as mono WAV; a WAV whose header lacks its size is mended where it lies.

        libsndfile reads what it can, so that the same file gives the same samples wherever it is decoded; ffmpeg has
        the rest. Channels are averaged, unless that would cancel or halve the voice.

        Raises:
            Undecodable: it is no sound in a format that is taken, damaged, or no recording of speech.
        """
        try:
            container = container_of(path)
        except NotSound as error:
            raise Undecodable(str(error)) from error
        if container is WAV:
            mend_wav(path)
        if container.by_libsndfile:
            with suppress(children.ChildFailed):
                return self._by_libsndfile(path, target)
        if container is WAV and has_loose_aac(path):
            raise Undecodable("it is a WAV with AAC inside, whose frames have no marks that tell one from the next")
        converted = target.with_name(f".{target.name}.all")
        try:
            self._by_ffmpeg(path, container, converted)
            decoded = self._by_libsndfile(converted, target)
        except children.ChildFailed as error:
            raise Undecodable(_nothing_in(container)) from error
        finally:
            converted.unlink(missing_ok=True)
        if not decoded.seconds:
            raise Undecodable(_nothing_in(container))
        return decoded

    def _by_libsndfile(self, path: Path, target: Path) -> Decoded:
        """Raise ``ChildFailed`` where libsndfile cannot read the file, else as ``to_mono``."""
        with self._borrowed() as decoder:
            return decoder.to_mono(path, target)

    def _by_ffmpeg(self, path: Path, container: Container, target: Path) -> None:
        """Write the first sound stream as float WAV with all its channels.

        Neither the extension nor ffmpeg's own guess chooses the demuxer, and no other one may be opened: a playlist,
        or a list of files inside of something else, would make ffmpeg read what is not the recording. Files are the
        only protocol, and no decoder is opened but those of recordings.
        """
        bounds = children.Bounds(
            wall_seconds=self.bounds.wall_seconds,
            cpu_seconds=int(self.bounds.wall_seconds),
            file_bytes=int(self.seconds * WIDEST) + 4096,
        )
        only = ["-protocol_whitelist", "file", "-format_whitelist", container.demuxer, "-f", container.demuxer]
        only += ["-codec_whitelist", CODECS]
        command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *only]
        command += ["-i", f"file:{path}", "-t", str(self.seconds), "-vn", "-sn", "-dn", "-map_metadata", "-1"]
        command += ["-c:a", "pcm_f32le", "-f", "wav", "-y", f"file:{target}"]
        try:
            children.run(command, bounds=bounds)
        except FileNotFoundError as error:
            raise Transient("ffmpeg is not installed; the trainer's image has it", reason="FfmpegMissing") from error
        except children.ChildTimedOut as error:
            raise Undecodable(f"decoding took more than {bounds.wall_seconds:.0f} s") from error
        except children.ChildFailed as error:
            if error.status < 0:
                raise Undecodable(f"its decoder failed: {children.ending(error.status)}") from error
            raise

    def _start(self) -> _Decoder:
        return _Decoder(self.seconds, self.bounds)


class _Decoder:
    """One process, and the file that its samples come in."""

    def __init__(self, seconds: float, bounds: children.Bounds) -> None:
        self._seconds = seconds
        self._bounds = bounds
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        number = self._file.fileno()
        modules = os.pathsep.join(part for part in sys.path if part)
        self._process: subprocess.Popen[bytes] = children.start(
            [sys.executable, "-P", str(Path(decoder_process.__file__)), str(number)],
            bounds,
            variables={"PYTHONPATH": modules, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            pass_fds=(number,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def to_mono(self, path: Path, target: Path) -> Decoded:
        answer = self._ask({"path": str(path), "seconds": self._seconds, "rates": RATES, "channels": CHANNELS})
        if "refused" in answer:
            raise Undecodable(str(answer["refused"])[:200])
        if "unreadable" in answer:
            raise children.ChildFailed(str(answer["unreadable"])[:200])
        rate, count, mix = int(answer["rate"]), int(answer["samples"]), answer["mix"]
        written = self._file.seek(0, os.SEEK_END)
        if written != count * 4 or not RATES[0] <= rate <= RATES[1] or mix not in get_args(Mix):
            raise Undecodable("its decoder answered something else than it wrote")
        self._file.seek(0)
        with soundfile.SoundFile(target, "w", rate, 1, subtype="FLOAT", format="WAV") as file:
            while len(block := np.fromfile(self._file, dtype="<f4", count=COPIED)):
                file.write(block)
        return Decoded(target, rate, count / rate, mix)

    def close(self) -> None:
        end(self._process)
        self._file.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; a process that gives none is ended.

        Raises:
            Undecodable: the recording ended it, or took too long.
            Transient: it cannot run at all.
        """
        try:
            return ask(self._process, question, seconds=self._bounds.wall_seconds, limit=ANSWER_LIMIT)
        except children.ChildTimedOut as error:
            raise Undecodable(f"decoding took more than {self._bounds.wall_seconds:.0f} s") from error
        except children.ChildFailed as error:
            if error.status > 0:  # by itself: Python, a library or the program is missing
                raise Transient(
                    f"the decoder of recordings cannot run ({error}); use the trainer's image as it was released",
                    reason="DecoderFailed",
                ) from error
            raise Undecodable(f"its decoder failed: {error}") from error


def _nothing_in(container: Container) -> str:
    return f"it is {container.name}, but nothing in it can be decoded as sound"
