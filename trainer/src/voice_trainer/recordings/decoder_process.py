"""The program that decodes recordings with libsndfile, apart from the job: it knows no key and has limits of its own.

Started by ``decoding.py`` with the number of an open file. Each line on standard input is a JSON object: path, seconds,
rates, channels. The samples, mono float32, go to the file, and one line of JSON to standard output: the rate and how
many samples, or what is wrong with the recording. A few bytes of FLAC can hold hours in many channels, so a block at a
time is decoded, and no more seconds than asked for. It imports nothing of this package, to be started quickly.
"""

import json
import os
import sys

import numpy as np
import soundfile

BLOCK_BYTES = 32 << 20  # decoded, of all channels: a clip of 54 s in stereo at 48 kHz is one block
FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "MPEG"}


class Refused(Exception):
    """The recording is of a kind that no speaker makes."""


def decode(path: str, seconds: float, rates: tuple[int, int], channels: int, output: int) -> dict[str, int]:
    """Write the first ``seconds`` as mono; return ``rate`` (Hz) and ``samples``.

    Raises:
        Refused: the rate, the number of channels or a sample is impossible.
        RuntimeError: libsndfile cannot read the file.
    """
    with soundfile.SoundFile(path) as source:
        if source.format not in FORMATS:
            raise Refused(f"{source.format} is none of WAV, FLAC, Ogg and MP3")
        if not (rates[0] <= source.samplerate <= rates[1] and source.channels <= channels):
            raise Refused(f"{source.samplerate} Hz with {source.channels} channels is not a recording of speech")
        left = int(seconds * source.samplerate)
        block = max(1, BLOCK_BYTES // (4 * source.channels))
        count = 0
        while left:
            mono = source.read(min(block, left), dtype="float32", always_2d=True).mean(axis=1)
            if not len(mono):
                break
            if not np.isfinite(mono).all():
                raise Refused("it holds numbers that are not finite")
            write(output, np.ascontiguousarray(mono, dtype="<f4").tobytes())
            count += len(mono)
            left -= len(mono)
        return {"rate": source.samplerate, "samples": count}


def write(output: int, data: bytes) -> None:
    """Write all of it; one call may write less."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(output, rest) :]


def main() -> None:
    """Answer each line until there is none."""
    output = int(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        os.ftruncate(output, 0)
        os.lseek(output, 0, os.SEEK_SET)
        answer: dict[str, object]
        try:
            answer = dict(decode(asked["path"], asked["seconds"], asked["rates"], asked["channels"], output))
        except Refused as error:
            answer = {"refused": str(error)}
        except (RuntimeError, MemoryError, ValueError, TypeError, OSError) as error:  # libsndfile's are RuntimeErrors
            answer = {"unreadable": str(error)[:200] or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
