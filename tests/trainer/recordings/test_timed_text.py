"""SRT and WebVTT: cues with their times, joined to sentences."""

import time

import pytest

from voice_trainer.recordings.timed_text import TimedText, join_cues, read_cues

SRT = (
    "1\n00:00:01,000 --> 00:00:03,500\nGood <i>morning</i>\nto all.\n\n"
    "2\n00:01:04,250 --> 01:00:05,000\nLate &amp; dark.\n"
)
VTT = (
    "WEBVTT\n\nNOTE a comment\n\n00:01.000 --> 00:03.500 align:start\nGood morning to all.\n\n"
    "01:04.250 --> 1:00:05.000\nLate & dark.\n"
)


@pytest.mark.parametrize("text", [SRT, SRT.replace("\n", "\r\n"), VTT], ids=["SRT", "SRT with CRLF", "WebVTT"])
def test_cues_have_times_and_plain_text(text: str) -> None:
    assert read_cues(text) == (TimedText(1.0, 3.5, "Good morning to all."), TimedText(64.25, 3605.0, "Late & dark."))


@pytest.mark.parametrize(
    "text", ["", "WEBVTT\n", "no times", "00:03,000 --> 00:01,000\nbackwards\n", "9" * 5000 + ":00:01,0 --> 00:02,0\nx"]
)
def test_what_has_no_cue_gives_none(text: str) -> None:
    assert read_cues(text) == ()


def test_brackets_without_an_end_cost_nothing() -> None:
    begun = time.process_time()
    (cue,) = read_cues("00:01,000 --> 00:03,000\n" + "<" * 100_000 + "{\\" * 50_000)
    assert len(cue.text) == 200_000
    assert time.process_time() - begun < 5, "the square of it would be minutes"


def test_cues_are_joined_to_sentences() -> None:
    cues = (
        TimedText(0.0, 2.0, "A sentence that"),
        TimedText(2.1, 4.0, "goes on."),
        TimedText(4.1, 6.0, "Another one,"),
        TimedText(6.5, 8.0, "after a pause"),
        TimedText(8.1, 17.0, "and much too long"),
    )
    assert join_cues(cues) == (
        TimedText(0.0, 4.0, "A sentence that goes on."),
        TimedText(4.1, 6.0, "Another one,"),
        TimedText(6.5, 8.0, "after a pause"),
        TimedText(8.1, 17.0, "and much too long"),
    )
