"""Sentences and words have their times, and captions are files that players read."""

import io
from itertools import pairwise

import av
import numpy as np
import pytest

from voice_inference.bundles.voice import Voice
from voice_inference.engine.captions import Caption, Captioner, Cue, captions_file
from voice_inference.engine.engine import Engine
from voice_inference.engine.listening import Listener
from voice_inference.engine.sentence import Options
from voice_inference.metrics import Metrics

CAPTIONS = [
    Caption(Cue("Fish & chips.", 0.0, 1.5), (Cue("fish", 0.1, 0.5), Cue("chips", 0.9, 1.4))),
    Caption(Cue("<Good>?", 3661.25, 3662.0)),
]


def test_webvtt() -> None:
    assert captions_file(CAPTIONS, "vtt") == (
        "WEBVTT\n\n1\n00:00:00.100 --> 00:00:00.500\nfish\n\n2\n00:00:00.900 --> 00:00:01.400\nchips\n\n"
        "3\n01:01:01.250 --> 01:01:02.000\n&lt;Good&gt;?\n"
    )


def test_srt() -> None:
    assert captions_file(CAPTIONS[1:], "srt") == "1\n01:01:01,250 --> 01:01:02,000\n<Good>?\n"


@pytest.mark.parametrize("form", ["vtt", "srt"])
def test_ffmpeg_reads_all_cues(form: str) -> None:
    with av.open(io.BytesIO(captions_file(CAPTIONS, form).encode()), format={"vtt": "webvtt"}.get(form, form)) as file:
        starts = [float(packet.pts * packet.time_base) for packet in file.demux() if packet.pts is not None]
    assert starts == [0.1, 0.9, 3661.25]


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_sentences_follow_one_another_with_their_pauses(voice: Voice, early: bool, speed: float) -> None:
    text = "The first sentence is long enough to come in parts. The second.\n\nThe third."
    captioner = Captioner(voice.base.sample_rate, speed, None)
    segments = list(
        Engine(Metrics()).synthesize(
            voice, text, language="en", seed=1, is_cancelled=lambda: False, options=Options(early)
        )
    )
    found = [caption.sentence for segment in segments if (caption := captioner.add(segment))]
    length = sum(segment.samples.size for segment in segments) / voice.base.sample_rate / speed
    assert [cue.text for cue in found] == [
        "The first sentence is long enough to come in parts.",
        "The second.",
        "The third.",
    ]
    assert found[0].start == 0
    gaps = [later.start - before.end for before, later in pairwise(found)]
    assert gaps == pytest.approx([0.25 / speed, 0.5 / speed], abs=0.002)
    assert found[-1].end == pytest.approx(length, abs=0.002)


def test_words_lie_within_their_sentence(voice: Voice) -> None:
    captioner = Captioner(voice.base.sample_rate, 1.0, Listener())
    segments = Engine(Metrics()).synthesize(
        voice, "One. Please close the window.", language="en", seed=1, is_cancelled=lambda: False
    )
    _, caption = [caption for segment in segments if (caption := captioner.add(segment))]
    times = np.array([(cue.start, cue.end) for cue in caption.words])
    assert [cue.text for cue in caption.words] == [
        word for word in ("please", "close", "the", "window") if word in {cue.text for cue in caption.words}
    ]
    assert (times >= caption.sentence.start - 0.05).all()
    assert (times <= caption.sentence.end + 0.05).all()
