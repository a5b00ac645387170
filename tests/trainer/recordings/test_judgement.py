"""The judgement: what is beyond a bound is a finding with the value, the bound and the remedy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from voice_trainer.recordings import measures
from voice_trainer.recordings.examination import Examination, Ratings
from voice_trainer.recordings.judgement import ExaminedClip, JudgedClip, judge

GOOD = Ratings(speech=3.6, background=4.0, overall=3.2)
TEXTS = (
    "DH AH0 K AE1 T S AE1 T",
    "AA1 N DH AH0 M AE1 T HH IY1",
    "W AY1 L D AO1 G Z R AH1 N IH0 N",
    "B IH1 G G R IY1 N",
)


def an_examination(seed: int, **about: Any) -> Examination:
    rng = np.random.default_rng(seed)
    known: dict[str, Any] = {
        "clipped_percent": 0.0,
        "bandwidth_hz": 11_000.0,
        "hum_db": -80.0,
        "decay_seconds": 0.15,
        "steady_tones": 0.05,
        "snr_db": 35.0,
        "ratings": GOOD,
        "embedding": (1.0, *[0.0] * 255),
        "heard": None,
        "fingerprint": np.where(rng.random((200, 32)) > 0.5, 1, -1).astype(np.int8).tobytes().hex(),
        "seconds": 3.0,
        "rms_dbfs": -16.0,
        "true_peak_dbtp": -1.1,
        "limited_db": 2.0,
        "limited_percent": 1.0,
    }
    return Examination.model_validate(known | about)


def clips(*changed: dict[str, Any], phones: int = 30) -> list[ExaminedClip]:
    """Return four good clips, the first of which differ as wanted."""
    wanted = [*changed, *[{}] * (4 - len(changed))]
    return [
        ExaminedClip(f"clip{n}", f"wavs/clip{n}.wav", ("AH0",) * phones, 2.5, an_examination(n, **about))
        for n, about in enumerate(wanted)
    ]


def reasons(judged: JudgedClip) -> dict[str, str]:
    return {finding.reason: finding.severity for finding in judged.findings}


def test_good_clips_have_no_findings() -> None:
    assert [reasons(clip) for clip in judge(clips(), "en")] == [{}] * 4


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        pytest.param({"clipped_percent": 0.5}, {"ClippedClip": "warning"}, id="clipped a little"),
        pytest.param({"clipped_percent": 50.0}, {"ClippedClip": "refusal"}, id="clipped"),
        pytest.param({"snr_db": 12.0}, {"NoisyClip": "warning"}, id="noisy"),
        pytest.param({"snr_db": 0.5}, {"NoisyClip": "refusal"}, id="more noise than speech"),
        pytest.param({"bandwidth_hz": 4000.0}, {"NarrowBand": "warning"}, id="telephone"),
        pytest.param({"decay_seconds": None}, {}, id="not measured"),
        pytest.param({"decay_seconds": 0.4}, {"ReverberantClip": "warning"}, id="reverberant"),
        pytest.param({"hum_db": -12.0}, {"MainsHum": "warning"}, id="hum"),
        pytest.param({"steady_tones": 0.2}, {"MusicInClip": "warning"}, id="music in the background"),
        pytest.param({"steady_tones": 0.4}, {"MusicInClip": "refusal"}, id="music as loud as the voice"),
        pytest.param({"voice_agreement": 0.72}, {"TwoSpeakers": "warning"}, id="perhaps two people"),
        pytest.param({"voice_agreement": 0.5}, {"TwoSpeakers": "refusal"}, id="two people in a clip"),
        pytest.param({"embedding": (0.0, 1.0, *[0.0] * 254)}, {"OtherSpeaker": "refusal"}, id="another voice"),
        pytest.param({"ratings": GOOD.model_copy(update={"overall": 1.2})}, {"PoorSound": "refusal"}, id="poor"),
    ],
)
def test_each_measure_has_its_verdict(about: dict[str, Any], expected: dict[str, str]) -> None:
    judged = judge(clips(about), "en")
    assert reasons(judged[0]) == expected
    assert [reasons(clip) for clip in judged[1:]] == [{}] * 3


def test_a_clip_is_judged_by_the_copy_that_is_used() -> None:
    poor = Ratings(speech=2.0, background=1.2, overall=1.3)
    noisy = {"snr_db": 8.0, "hum_db": -12.0, "ratings": poor, "ratings_denoised": GOOD}
    assert reasons(judge(clips(noisy | {"denoised": True}), "en")[0]) == {}
    assert set(reasons(judge(clips(noisy | {"denoised": False}), "en")[0])) == {"NoisyClip", "MainsHum", "PoorSound"}
    assert reasons(judge(clips(noisy | {"snr_db": 0.0, "denoised": True}), "en")[0]) == {"NoisyClip": "refusal"}


def test_a_text_must_be_speakable_in_the_time() -> None:
    assert reasons(judge(clips(phones=5), "en")[0]) == {"TextTooShort": "refusal"}
    assert reasons(judge(clips(phones=80), "en")[0]) == {"TextTooLong": "warning"}
    assert reasons(judge(clips(phones=300), "en")[0]) == {"TextTooLong": "refusal"}


def test_how_fast_a_text_may_be_spoken_depends_on_the_language() -> None:
    phones = 50  # in 2.5 s
    assert reasons(judge(clips(phones=phones), "ja")[0]) == {}
    (finding,) = judge(clips(phones=phones), "zh")[0].findings
    assert finding.sentence == (
        "wavs/clip0.wav: its text is spoken at 1.71 of the usual rate of the language (at most 1.50 of the usual); "
        "write only what is said in it"
    )


def test_the_second_of_two_equal_sounds_names_the_first() -> None:
    twins = clips()
    twins[3] = ExaminedClip("twin", "wavs/twin.wav", twins[0].phones, 2.5, twins[0].examination)
    judged = judge(twins, "en")
    assert (judged[0].same_as, judged[3].same_as) == ("", "clip0")
    (finding,) = judged[3].findings
    assert (finding.reason, finding.severity) == ("SameSound", "warning")
    assert "the other one is clip0" in finding.sentence


def test_a_finding_names_file_value_bound_and_remedy() -> None:
    (finding,) = judge(clips({"clipped_percent": 12.3456}), "en")[0].findings
    assert finding.sentence == (
        "wavs/clip0.wav: 12.35 % of its samples are at the peak (at most 2.00 %); record it with less gain"
    )


@pytest.mark.parametrize(("errors", "expected"), [(40.0, {}), (50.0, "warning"), (70.0, "refusal"), (None, {})])
def test_a_text_that_a_recogniser_writes_otherwise(errors: float | None, expected: Any) -> None:
    first, *others = clips()
    found = reasons(judge([replace(first, text_errors=errors), *others], "en")[0])
    assert found == ({"WrongText": expected} if expected else {})


def test_every_measure_has_a_bound_and_a_value() -> None:
    known = clips({"heard": ("AH",) * 30, "voice_agreement": 0.9})
    values = judge([replace(one, text_errors=5.0) for one in known], "en")[0].values
    for measure in measures.MEASURES:
        assert (measure.warn, measure.refuse) != (None, None)
        assert measure.key in values or measure in {measures.TEXT, measures.SAME_SOUND}, measure.title
