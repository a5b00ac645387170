"""The judgement of recordings: what was measured of each clip, and of all of them together, beside the bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from voice_trainer.recordings import measures
from voice_trainer.recordings.examination import Examination
from voice_trainer.recordings.findings import Finding
from voice_trainer.recordings.fingerprints import BITS, same_sounds
from voice_trainer.recordings.measures import Measure
from voice_trainer.recordings.rates import judge_lengths, rate_ratios, relative_rate, spoken
from voice_trainer.recordings.speakers import similarities
from voice_trainer.recordings.transcripts import TextMatch, match_texts, numbers_of

LINKAGE: Final = 0.70  # similarity down to which groups of clips are one speaker
MIN_SPEECH_SECONDS: Final = 1.5  # of a clip whose speaker can be told


@dataclass(frozen=True)
class ExaminedClip:
    """A clip that could be decoded and read, with all that is known of it by itself."""

    id: str
    name: str  # of its file, for sentences
    phones: tuple[str, ...]  # of its text
    speech_seconds: float
    examination: Examination
    text_errors: float | None = None  # % of the text's characters that a recogniser writes otherwise


@dataclass(frozen=True)
class JudgedClip:
    """The values of the table's measures, by key; what could not be measured is absent."""

    clip: ExaminedClip
    values: Mapping[str, float]
    text: TextMatch | None = None
    same_as: str = ""  # the id of an earlier clip with the same sound
    findings: tuple[Finding, ...] = field(default=())

    @property
    def is_rejected(self) -> bool:
        """Whether the clip is left out."""
        return any(finding.severity == "refusal" for finding in self.findings)


def judge(clips: Sequence[ExaminedClip], language: str) -> tuple[JudgedClip, ...]:
    """Return all clips in their order, with what is wrong with each; ``language`` is that of their texts."""
    speakers = _speaker_similarities(clips)
    texts = _text_matches(clips)
    twins = _same_sounds(clips)
    ratios = rate_ratios(*_lengths(clips))
    rates = [relative_rate(*lengths, language) for lengths in zip(*_lengths(clips), strict=True)]
    return tuple(
        _judged(clip, speakers.get(index), texts[index], twins.get(index), clips, rates=(rates[index], ratios[index]))
        for index, clip in enumerate(clips)
    )


def judge_list(clips: Sequence[ExaminedClip]) -> tuple[Finding, ...]:
    """Return what is wrong with the texts as a whole, where nothing recognises what is said in the clips."""
    is_recognised = all(clip.examination.heard is not None or clip.text_errors is not None for clip in clips)
    return () if is_recognised else judge_lengths(*_lengths(clips))


def _lengths(clips: Sequence[ExaminedClip]) -> tuple[list[int], list[float]]:
    return [spoken(clip.phones) for clip in clips], [clip.speech_seconds for clip in clips]


def _judged(
    clip: ExaminedClip,
    speaker: float | None,
    text: TextMatch | None,
    twin: tuple[int, float] | None,
    clips: Sequence[ExaminedClip],
    *,
    rates: tuple[float | None, float | None],
) -> JudgedClip:
    found = clip.examination
    values: dict[str, float | None] = {
        measures.CLIPPED.key: found.clipped_percent,
        measures.SNR.key: found.snr_db,
        measures.OVERALL.key: found.used_ratings.overall,
        measures.BANDWIDTH.key: found.bandwidth_hz,
        measures.REVERBERATION.key: found.decay_seconds,
        measures.HUM.key: found.hum_db,
        measures.MUSIC.key: found.steady_tones,
        measures.SPEAKER.key: speaker,
        measures.AGREEMENT.key: found.voice_agreement,
        measures.TEXT.key: text.margin if text is not None else None,
        measures.TEXT_ERRORS.key: clip.text_errors,
        measures.RATE_LOW.key: rates[0],
        measures.RATE_RATIO.key: rates[1],
        measures.SAME_SOUND.key: twin[1] if twin is not None else None,
    }
    known = {key: round(value, 3) for key, value in values.items() if value is not None}
    findings: list[Finding] = []
    for measure in measures.MEASURES:
        if measure in measures.NEED_SOUND and any(one.severity == "refusal" for one in findings):
            continue
        severity = measure.severity(known[measure.key]) if measure.key in known else None
        is_removed = found.denoised and measure in measures.REMOVED_WITH_NOISE
        if severity == "refusal" or (severity == "warning" and not is_removed):
            sentence = f"{clip.name}: {measure.explain(known[measure.key])}{_hint(measure, text, twin, clips)}"
            findings.append(Finding(clip.id, measure.reason, sentence, severity))
    same_as = clips[twin[0]].id if twin is not None else ""
    return JudgedClip(clip, known, text, same_as, tuple(findings))


def _hint(
    measure: Measure, text: TextMatch | None, twin: tuple[int, float] | None, clips: Sequence[ExaminedClip]
) -> str:
    """Return which other clip a finding is about."""
    if measure is measures.TEXT and text is not None and text.nearest is not None:
        return f" (the text of {clips[text.nearest].id} is nearer to it)"
    if measure is measures.SAME_SOUND and twin is not None:
        return f" (the other one is {clips[twin[0]].id})"
    return ""


def _speaker_similarities(clips: Sequence[ExaminedClip]) -> dict[int, float]:
    told = [index for index, clip in enumerate(clips) if clip.speech_seconds >= MIN_SPEECH_SECONDS]
    if len(told) < 2:
        return {}
    vectors = [np.array(clips[index].examination.embedding, dtype=np.float32) for index in told]
    return dict(zip(told, map(float, similarities(vectors, LINKAGE)), strict=True))


def _text_matches(clips: Sequence[ExaminedClip]) -> Sequence[TextMatch | None]:
    if any(clip.examination.heard is None for clip in clips):
        return [None] * len(clips)
    return match_texts(
        [numbers_of(clip.examination.heard or ()) for clip in clips], [numbers_of(clip.phones) for clip in clips]
    )


def _same_sounds(clips: Sequence[ExaminedClip]) -> dict[int, tuple[int, float]]:
    """Return for each clip that sounds as an earlier one which it is, and how far their fingerprints agree."""
    prints = [
        np.frombuffer(bytes.fromhex(clip.examination.fingerprint), dtype=np.int8).reshape(-1, BITS) for clip in clips
    ]
    found: dict[int, tuple[int, float]] = {}
    for first, second, share in same_sounds(prints, measures.SAME_SOUND.warn or 1.0):
        found.setdefault(second, (first, share))
    return found


def worst_first(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield refusals, then warnings, each in their order."""
    yield from (one for one in findings if one.severity == "refusal")
    yield from (one for one in findings if one.severity == "warning")
