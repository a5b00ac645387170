"""The speaker encoder on real speech; skipped where the group `bench` is not installed."""

import numpy as np
import pytest

pytest.importorskip("resemblyzer", reason="`uv sync --group bench` installs it", exc_type=ImportError)

from dev.voice_bench import flite
from dev.voice_bench.audio import Wave
from dev.voice_bench.speaker_encoder import SpeakerEncoder, secs
from dev.voice_bench.texts import sentences


@pytest.fixture(scope="module")
def spoken() -> list[Wave]:
    """The first three sentences, by flite."""
    return [flite.synthesize(text, "rms") for text in sentences()[:3]]


def test_a_voice_is_nearer_to_itself_than_to_another(spoken: list[Wave]) -> None:
    encoder = SpeakerEncoder()
    own = encoder.centroid(spoken[:2])
    again, other = encoder.embed(spoken[2]), encoder.embed(flite.synthesize(sentences()[2], "slt"))
    assert secs(again, own) > secs(other, own) + 0.1
    assert np.linalg.norm(own) == pytest.approx(1.0, abs=1e-4)
