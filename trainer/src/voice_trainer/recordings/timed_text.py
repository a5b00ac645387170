"""Texts with times, as recognisers and subtitle editors write them: SRT and WebVTT. Nothing is opened here."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

_TIME: Final = r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})[.,](\d{1,3})"
_TIMES: Final = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_MARKUP: Final = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
SENTENCE_ENDS: Final = ".!?。！？…"  # noqa: RUF001 -- the CJK ones
PAUSE: Final = 0.35  # seconds between two cues that may be one clip's end and the next one's begin
LONGEST: Final = 10.0  # seconds of a clip that cues are joined to


@dataclass(frozen=True)
class TimedText:
    """A text and when it is said, in seconds."""

    begin: float
    end: float
    text: str


def read_cues(text: str) -> tuple[TimedText, ...]:
    """Return the cues of SRT or WebVTT that have a text, in the order of their times."""
    cues: list[TimedText] = []
    lines = _LINE_END.split(text)
    number = 0
    while number < len(lines):
        found = _TIMES.match(lines[number])
        number += 1
        if not found:
            continue
        words: list[str] = []
        while number < len(lines) and lines[number].strip():
            words.append(lines[number])
            number += 1
        said = " ".join(html.unescape(_MARKUP.sub("", " ".join(words))).split())
        begin, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        if said and end > begin:
            cues.append(TimedText(begin, end, said))
    return tuple(sorted(cues, key=lambda cue: cue.begin))


def join_cues(cues: tuple[TimedText, ...]) -> tuple[TimedText, ...]:
    """Join cues to sentences: a subtitle ends where its line is full, a clip should end where a sentence does."""
    clips: list[TimedText] = []
    for cue in cues:
        last = clips[-1] if clips else None
        goes_on = last and last.text[-1] not in SENTENCE_ENDS and cue.begin - last.end < PAUSE
        if last and goes_on and cue.end - last.begin <= LONGEST:
            clips[-1] = TimedText(last.begin, cue.end, f"{last.text} {cue.text}")
        else:
            clips.append(cue)
    return tuple(clips)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction}")
