"""The program that decodes recordings with libsndfile, apart from the job: it knows no key and has limits of its own.

Started by ``decoding.py`` with the number of an open file. Each line on standard input is a JSON object: path, seconds,
rates, channels. The samples, mono float32, go to the file, and one line of JSON to standard output: the rate, how many
samples and how the channels were mixed, or what is wrong with the recording. A few bytes of FLAC can hold hours in many
channels, so a block at a time is decoded, and no more seconds than asked for. It imports nothing of this package, to be
started quickly.
"""

import json
import os
import sys
from collections.abc import Iterator

import numpy as np
import soundfile

BLOCK_BYTES = 32 << 20  # decoded, of all channels: a clip of 54 s in stereo at 48 kHz is one block
FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "MPEG"}
SILENT = 1e-2  # of the loudest channel's power: 20 dB below it
INVERTED = -0.5  # correlation with the loudest channel
# By how many times less a channel's loud frames stand above its quiet ones than the best channel's: 6 dB. From 4.8 dB
# on, with equal voices, the mean of two channels is noisier than the better one alone.
NOISIER = 4.0
FRAME_SECONDS = 0.03
LOUD, QUIET = 90, 10  # percentiles of the frames' power: speech, and the pauses in it
FAINTEST = 1e-9  # power of the least noise that is told from none


class Refused(Exception):
    """The recording is of a kind that no speaker makes."""


def decode(path: str, seconds: float, rates: tuple[int, int], channels: int, output: int) -> dict[str, object]:
    """Write the first ``seconds`` as mono; return ``rate`` (Hz), ``samples`` and ``mix``.

    ``mix`` is empty where the channels were averaged, else why only some were: inverted, silent or noisy.

    Raises:
        Refused: the rate, the number of channels or a sample is impossible.
        RuntimeError: libsndfile cannot read the file.
    """
    with soundfile.SoundFile(path) as source:
        if source.format not in FORMATS:
            raise Refused(f"{source.format} is none of WAV, FLAC, Ogg and MP3")
        if not (rates[0] <= source.samplerate <= rates[1] and source.channels <= channels):
            raise Refused(f"{source.samplerate} Hz with {source.channels} channels is not a recording of speech")
        rate, several = source.samplerate, source.channels > 1
    used, mix = choose(*survey(path, seconds)) if several else ([0], "")
    count = 0
    for block in blocks(path, seconds):
        mono = block.mean(axis=1) if not mix else block[:, used].mean(axis=1)
        write(output, np.ascontiguousarray(mono, dtype="<f4").tobytes())
        count += len(mono)
    return {"rate": rate, "samples": count, "mix": mix}


def blocks(path: str, seconds: float) -> Iterator[np.ndarray]:
    """Yield the first ``seconds`` as float32 (samples, channels).

    Raises:
        Refused: a sample is not finite.
    """
    with soundfile.SoundFile(path) as source:
        left = int(seconds * source.samplerate)
        block = max(1, BLOCK_BYTES // (4 * source.channels))
        while left:
            found = source.read(min(block, left), dtype="float32", always_2d=True)
            if not len(found):
                return
            if not np.isfinite(found).all():
                raise Refused("it holds numbers that are not finite")
            yield found
            left -= len(found)


def survey(path: str, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean products of pairs of channels (channels, channels), and the power of (frames, channels)."""
    total: np.ndarray = np.zeros(())
    count = 0
    powers = []
    with soundfile.SoundFile(path) as source:
        frame = int(FRAME_SECONDS * source.samplerate)
    for block in blocks(path, seconds):
        wide = block.astype(np.float64)
        total = total + wide.T @ wide
        count += len(block)
        whole = wide[: len(wide) // frame * frame].reshape(-1, frame, wide.shape[1])
        powers.append(np.square(whole).mean(axis=1))
    return total / max(count, 1), np.concatenate(powers) if powers else np.zeros((0, 1))


def choose(products: np.ndarray, powers: np.ndarray) -> tuple[list[int], str]:
    """Return which channels to average, and why not all of them."""
    if not products.ndim:
        return [0], ""
    power = products.diagonal()
    loudest = int(power.argmax())
    heard = [number for number in range(len(power)) if power[number] > SILENT * power[loudest]]
    if not heard:  # digital silence in all
        return list(range(len(power))), ""
    for number in heard:
        if products[loudest, number] < INVERTED * np.sqrt(power[loudest] * power[number]):
            return [loudest], "inverted"
    clean = clean_ones(powers[:, heard])
    if len(clean) < len(heard):
        return [heard[number] for number in clean], "noisy"
    return heard, "silent" if len(heard) < len(power) else ""


def clean_ones(powers: np.ndarray) -> list[int]:
    """Return the channels whose speech stands out of their noise about as far as in the best one."""
    if not len(powers):
        return list(range(powers.shape[1]))
    loud, quiet = np.percentile(powers, [LOUD, QUIET], axis=0)
    ratios = loud / np.maximum(quiet, FAINTEST)
    return [int(number) for number in np.flatnonzero(ratios * NOISIER >= ratios.max())]


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
            answer = decode(asked["path"], asked["seconds"], asked["rates"], asked["channels"], output)
        except Refused as error:
            answer = {"refused": str(error)}
        except (RuntimeError, MemoryError, ValueError, TypeError, OSError) as error:  # libsndfile's are RuntimeErrors
            answer = {"unreadable": str(error)[:200] or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
