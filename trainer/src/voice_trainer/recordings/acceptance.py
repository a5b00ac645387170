"""Which decoded clips can be examined at all: long enough, with a voice in them and a text that can be spoken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sovits_core.errors import TextRejected, UnreadableLetters
from sovits_core.text import PolyphoneReader, phonemize
from sovits_core.text.lexicon import Lexicon
from sovits_core.text.symbols import symbols
from voice_trainer.recordings import audio
from voice_trainer.recordings.dataset import Recording
from voice_trainer.recordings.decoding import DECODED_SECONDS
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.shapes import shorten
from voice_trainer.recordings.vad import detect

CLIP_SECONDS = (0.6, 54.0)  # the family's own limits for a training clip


@dataclass(frozen=True)
class Accepted:
    """A clip without problems, not yet normalised."""

    recording: Recording
    path: Path
    phones: tuple[str, ...]
    speech_seconds: float
    snr_db: float
    span: tuple[float, float]  # seconds; the silence outside it is cut off


@dataclass(frozen=True)
class FrontEnd:
    """Converts transcripts to phones."""

    language: str
    table: str
    polyphones: PolyphoneReader | None
    lexicon: Lexicon
    locale: str

    def phones(self, text: str) -> tuple[str, ...]:
        """Return the phones of a text; raise ``TextRejected`` where it cannot be spoken."""
        return phonemize(text, self.language, self.table, self.polyphones, self.lexicon, locale=self.locale).phones


def accept(recording: Recording, path: Path, front_end: FrontEnd, findings: FindingList) -> Accepted | None:
    """Return the clip, or ``None`` after adding what is wrong with it to the findings."""
    phones = _phones(recording, front_end, findings)
    samples, rate = audio.read_mono(path)
    seconds = len(samples) / rate
    if not CLIP_SECONDS[0] <= seconds <= CLIP_SECONDS[1]:
        findings.refuse(
            "ClipTooShort" if seconds < CLIP_SECONDS[0] else "ClipTooLong",
            f"{recording.key} has {_clip_length(seconds)}, a clip has {CLIP_SECONDS[0]} to {CLIP_SECONDS[1]:.0f} s; "
            "cut or join clips at sentence ends",
            recording.id,
        )
        return None
    speech = detect(audio.resample(samples, rate, audio.ANALYSIS_RATE))
    if not speech.voiced.any():
        findings.refuse(
            "SilentClip",
            f"{recording.key} has no speech in {seconds:.1f} s; record it again or delete it",
            recording.id,
        )
        return None
    return Accepted(recording, path, phones, speech.seconds, speech.snr_db, speech.span())


def _clip_length(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < DECODED_SECONDS else f"at least {DECODED_SECONDS:.0f} s"


def _phones(recording: Recording, front_end: FrontEnd, findings: FindingList) -> tuple[str, ...]:
    """Return the phones of the transcript; anything that the front end would drop or not know is a problem."""
    try:
        phones = front_end.phones(recording.text) if recording.text else ()
    except UnreadableLetters as error:
        findings.refuse("UnknownSymbols", f"the transcript of {shorten(recording.id)}: {error}", recording.id)
        return ()
    except TextRejected as error:
        findings.refuse("UnspeakableText", f"the transcript of {shorten(recording.id)}: {error}", recording.id)
        return ()
    if unknown := sorted(set(phones) - set(symbols(front_end.table))):
        findings.refuse(
            "UnknownSymbols",
            f"the transcript of {shorten(recording.id)} has the unknown phones {', '.join(unknown)[:100]}",
            recording.id,
        )
    return phones
