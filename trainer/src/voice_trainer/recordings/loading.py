"""From a dataset to clips in mono WAV: fetched, decoded, and long recordings sliced and given their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import soundfile

from sovits_core.errors import TextRejected
from sovits_core.text import phonemize
from voice_store import Store
from voice_trainer.recordings import audio
from voice_trainer.recordings.dataset import TEXT_LIMIT, TIMED, Dataset, LongRecording, Recording
from voice_trainer.recordings.decoding import Decoded, Decoders, Mix, Samples, Undecodable
from voice_trainer.recordings.fetching import LONG_LIMIT, DatasetDigest, fetch, read_text
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.shapes import shorten
from voice_trainer.recordings.slicing import Span, slices
from voice_trainer.recordings.timed_text import TimedText, join_cues, read_cues
from voice_trainer.recordings.vad import MARGIN_SECONDS, detect_file

LONG_SECONDS: Final = 1800.0
CLIP_SECONDS: Final = 15.0  # a recording with a text of its own is one clip up to here, and sliced beyond
WORDS: Final = 12_000  # of a text: fast speech has five a second
LETTERS: Final = 20  # characters of a word, on average
MOST_SPOKEN: Final = 1.5  # times the recording's length that texts with times may last: two may overlap a little
MOST_CUES: Final = 2.0  # texts with times in a second of the recording
LEAST_FITTING: Final = 0.5  # of the slices; with fewer it is another text
WORDS_SHOWN: Final = 8
ALIGNED_LANGUAGE: Final = "en"  # of pocketsphinx's model
_MIXED: Final[dict[Mix, tuple[str, str]]] = {
    "inverted": ("ChannelInverted", "has channels that cancel one another; only the louder one is used"),
    "silent": ("ChannelSilent", "has a channel without sound; only the louder ones are used"),
    "noisy": ("ChannelNoisy", "has a channel with more noise than the other; only the clean ones are used"),
}


Transcribe = Callable[[Samples], str]
"""Return what is said in (samples) at 16 kHz; empty where that is not sure."""


@dataclass(frozen=True)
class LoadedClip:
    """One clip whose sound can be read, and how much of all recordings has been loaded with it."""

    recording: Recording
    path: Path  # mono WAV
    done: float  # 0 to 1


@dataclass(frozen=True)
class Loader:
    """Where recordings come from, where they go, and who is told about them."""

    store: Store
    folder: Path
    decoders: Decoders
    digest: DatasetDigest
    findings: FindingList
    language: str
    transcribe: Transcribe | None = None

    def clips(self, dataset: Dataset) -> Iterator[LoadedClip]:
        """Yield the clips in the order of the dataset; those that cannot be read are findings."""
        for number, recording in enumerate(dataset.clips, start=1):
            decoded = self._decode(recording.id, recording.key, self.decoders)
            if decoded is not None:
                yield LoadedClip(recording, decoded.path, number / len(dataset.clips))
        seen: set[str] = set()
        with Decoders(LONG_SECONDS) as decoders:
            for number, long in enumerate(dataset.long, start=1):
                for recording, path in self._slices(long, decoders):
                    if recording.id in seen:
                        self.findings.refuse(
                            "DuplicateId", f"{long.key} gives a second clip {shorten(recording.id)}; rename it"
                        )
                        continue
                    seen.add(recording.id)
                    yield LoadedClip(recording, path, number / len(dataset.long))

    def _decode(self, clip: str, key: str, decoders: Decoders, **limit: int) -> Decoded | None:
        """Return a recording as mono WAV, or None after a finding."""
        fetched = self.folder / "fetched" / f"{clip}.sound"  # its extension means nothing
        if not fetch(self.store, key, fetched, self.findings, clip=clip, **limit):
            return None
        self.digest.add(key, fetched)
        target = self.folder / "mono" / f"{clip}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            decoded = decoders.to_mono(fetched, target)
        except Undecodable as error:
            self.findings.refuse(
                "UnreadableClip", f"{key} cannot be decoded: {error}; export it again as WAV or FLAC", clip
            )
            return None
        finally:
            fetched.unlink(missing_ok=True)
        if decoded.mix:
            reason, sentence = _MIXED[decoded.mix]
            self.findings.warn(reason, f"{key} {sentence}", clip)
        return decoded

    def _slices(self, long: LongRecording, decoders: Decoders) -> Iterator[tuple[Recording, Path]]:
        text = read_text(self.store, long.text_key, self.digest)[0] if long.text_key else ""
        decoded = self._decode(long.id, long.key, decoders, limit=LONG_LIMIT)
        if decoded is None:
            return
        if decoded.seconds >= LONG_SECONDS:
            self.findings.refuse(
                "RecordingTooLong",
                f"{long.key} has {LONG_SECONDS / 60:.0f} min or more; cut it into parts, each with its text",
                long.id,
            )
            return
        if not long.text_key:
            parts = self._transcribed(long, decoded)
            if decoded.seconds <= CLIP_SECONDS:
                yield from ((Recording(long.id, part.text, long.key, transcribed=True), decoded.path) for part in parts)
                return
        elif PurePosixPath(long.text_key).suffix.lower() in TIMED:
            parts = self._timed(long, decoded, text)
        elif decoded.seconds <= CLIP_SECONDS:
            words = " ".join(text.split())
            if self._is_clips_text(long, words):
                yield Recording(long.id, words, long.key), decoded.path
            return
        else:
            parts = self._aligned(long, decoded, text)
        for number, part in enumerate(parts, start=1):
            clip = f"{long.id}-{number:03}"
            if not self._is_clips_text(long, part.text):
                continue
            path = decoded.path.with_name(f"{clip}.wav")
            _cut(decoded.path, Span(part.begin, part.end), path)
            yield Recording(clip, part.text, long.key, transcribed=not long.text_key), path
        decoded.path.unlink()

    def _is_clips_text(self, long: LongRecording, text: str) -> bool:
        """Return whether a text is as long as that of one clip may be; False after a finding."""
        if 0 < len(text) <= TEXT_LIMIT:
            return True
        self.findings.refuse(
            "TranscriptTooLong" if text else "EmptyTranscript",
            f"{long.text_key} has {len(text)} characters for a clip of {long.key}, 1 to {TEXT_LIMIT} are taken; "
            "write what is said",
            long.id,
        )
        return False

    def _timed(self, long: LongRecording, decoded: Decoded, text: str) -> Sequence[TimedText]:
        """Return the parts that the text's own times name, with a margin up to the neighbours."""
        cues = join_cues(read_cues(text))
        if not cues:
            self.findings.refuse(
                "BadMetadataRow",
                f"{long.text_key} has no times as 00:00:01,000 --> 00:00:04,000; export it again",
                long.id,
            )
            return ()
        spoken = sum(cue.end - cue.begin for cue in cues)
        if spoken > MOST_SPOKEN * decoded.seconds or len(cues) > MOST_CUES * decoded.seconds:
            self.findings.refuse(
                "TextMismatch",
                f"{long.text_key} has {len(cues)} texts of {spoken:.0f} s together, but {long.key} has "
                f"{decoded.seconds:.1f} s; it is the text of another recording, or its times overlap",
                long.id,
            )
            return ()
        if cues[-1].begin >= decoded.seconds:
            self.findings.refuse(
                "TextMismatch",
                f"{long.text_key} goes on until {cues[-1].end:.1f} s, but {long.key} has {decoded.seconds:.1f} s; "
                "it is the text of another recording",
                long.id,
            )
            return ()
        return _with_margins(cues, decoded.seconds)

    def _transcribed(self, long: LongRecording, decoded: Decoded) -> Sequence[TimedText]:
        """Return the parts of a recording without a text, as the recogniser writes them."""
        assert self.transcribe is not None  # noqa: S101 -- without it the dataset has no such recording
        is_clip = decoded.seconds <= CLIP_SECONDS
        with _analysed(decoded) as path:
            spans = (Span(0.0, decoded.seconds),) if is_clip else slices(detect_file(path).voiced)
            sounds = zip(spans, _parts(path, spans), strict=True)
            parts = [TimedText(span.begin, span.end, self.transcribe(sound)) for span, sound in sounds]
        for part in parts:
            if not part.text:
                where = "" if is_clip else f", {part.begin:.1f} to {part.end:.1f} s,"
                tell = self.findings.refuse if is_clip else self.findings.warn
                tell(
                    "NotTranscribed",
                    f"{long.key}{where} is not used: the recogniser is not sure what is said in it; put the text "
                    "beside the recording",
                    long.id,
                )
        return tuple(part for part in parts if part.text)

    def _aligned(self, long: LongRecording, decoded: Decoded, text: str) -> Sequence[TimedText]:
        """Return the slices with their parts of the text; what fits nowhere is a finding."""
        if self.language != ALIGNED_LANGUAGE:
            self.findings.refuse(
                "NoAligner",
                f"{long.key} has {decoded.seconds:.0f} s and {long.text_key} no times, and only English texts are "
                f"aligned with recordings here; give the text with its times, as .srt or .vtt, or clips of up to "
                f"{CLIP_SECONDS:.0f} s",
                long.id,
            )
            return ()
        words = len(text.split())
        if not 0 < words <= WORDS or len(text) > LETTERS * WORDS:
            self.findings.refuse(
                "TranscriptTooLong" if words else "EmptyTranscript",
                f"{long.text_key} has {words} words of {len(text)} characters, 1 to {WORDS} words of at most "
                f"{LETTERS * WORDS} are taken; write what is said",
                long.id,
            )
            return ()
        from voice_trainer.recordings.alignment import Aligner  # noqa: PLC0415 -- most datasets need no recogniser

        with _analysed(decoded) as path:
            spans = slices(detect_file(path).voiced)
            found = Aligner(text, pronounce).align(_parts(path, spans))
        fitting = sum(1 for one in found.texts if one)
        if fitting < LEAST_FITTING * max(1, len(spans)):
            self.findings.refuse(
                "TextMismatch",
                f"{long.text_key} fits {fitting} of the {len(spans)} parts of {long.key}; it is another text, or not "
                "what is said",
                long.id,
            )
            return ()
        for span, said in zip(spans, found.texts, strict=True):
            if not said:
                self.findings.warn(
                    "SliceWithoutText",
                    f"{long.key}, {span.begin:.1f} to {span.end:.1f} s, is not used: nothing in {long.text_key} fits",
                    long.id,
                )
        for missing in found.missing:
            self.findings.warn("TextNotFound", f"{long.text_key} has {_brief(missing)}, found nowhere", long.id)
        pairs = zip(spans, found.texts, strict=True)
        return tuple(TimedText(span.begin, span.end, said) for span, said in pairs if said)


def pronounce(word: str) -> tuple[str, ...]:
    """Return the ARPAbet phones of an English word by the front end, without stress and punctuation."""
    try:
        phones = phonemize(word, ALIGNED_LANGUAGE).phones
    except TextRejected:
        return ()
    return tuple(phone.rstrip("012") for phone in phones if phone[0].isalpha())


def _with_margins(cues: Sequence[TimedText], seconds: float) -> tuple[TimedText, ...]:
    wide = []
    for number, cue in enumerate(cues):
        before = (cues[number - 1].end + cue.begin) / 2 if number else 0.0
        after = (cue.end + cues[number + 1].begin) / 2 if number + 1 < len(cues) else seconds
        begin, end = max(before, cue.begin - MARGIN_SECONDS), min(after, cue.end + MARGIN_SECONDS)
        wide.append(TimedText(min(begin, cue.begin), max(end, begin), cue.text))
    return tuple(wide)


@contextmanager
def _analysed(decoded: Decoded) -> Iterator[Path]:
    """Yield the recording at 16 kHz in a file, which is removed afterwards."""
    path = decoded.path.with_suffix(".analysis.wav")
    try:
        audio.resample_file(decoded.path, audio.ANALYSIS_RATE, path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _parts(path: Path, spans: Sequence[Span]) -> audio.Parts:
    return audio.Parts(path, [(span.begin, span.end) for span in spans])


def _cut(path: Path, span: Span, target: Path) -> None:
    with soundfile.SoundFile(path) as source:
        begin, end = (min(int(moment * source.samplerate), source.frames) for moment in (span.begin, span.end))
        source.seek(begin)
        soundfile.write(target, source.read(end - begin, dtype="float32"), source.samplerate, "FLOAT", format="WAV")


def _brief(text: str) -> str:
    words = text.split()
    start = " ".join(words[:WORDS_SHOWN])
    return shorten(start) if len(words) <= WORDS_SHOWN else f"{shorten(start + ' …')} ({len(words)} words)"
