"""Spectrograms: each tone where it belongs, in colours that look equally far apart."""

import io

import numpy as np
import pytest
from PIL import Image

from voice_trainer.evaluation.palette import TO_CONES, TO_LINEAR, palette
from voice_trainer.evaluation.spectrograms import spectrograms
from voice_trainer.recordings.decoding import Samples


def a_tone(hertz: float, seconds: float = 1.0, level: float = 1.0) -> Samples:
    time = np.arange(int(16000 * seconds)) / 16000
    tone: Samples = (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    return tone


def levels(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "P")
    assert bytes(image.getpalette() or ()) == palette().tobytes()
    return np.asarray(image).astype(int)


def oklab(colours: np.ndarray) -> np.ndarray:
    encoded = colours / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.linalg.inv(TO_LINEAR).T) @ np.linalg.inv(TO_CONES).T


def test_colours_rise_in_lightness_by_steps_that_look_alike() -> None:
    found = oklab(palette())
    assert (np.diff(found[::8, 0]) > 0).all()
    assert (found[0, 0], found[-1, 0]) == (pytest.approx(0.1, abs=0.02), pytest.approx(0.97, abs=0.02))
    steps = np.linalg.norm(np.diff(found[::8], axis=0), axis=1)
    assert steps.max() / steps.min() < 1.25, "eight bits for each colour leave no more"


def test_white_and_black_are_where_the_formulas_of_oklab_have_them() -> None:
    assert oklab(np.array([255.0, 255.0, 255.0])) == pytest.approx([1, 0, 0], abs=1e-3)
    assert oklab(np.array([255.0, 0, 0])) == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)  # CSS Color 4's red


@pytest.mark.parametrize("hertz", [500, 2000, 7000])
def test_a_tone_is_where_its_frequency_is(hertz: int) -> None:
    (found,) = spectrograms([a_tone(hertz)])
    pixels = levels(found.png)
    rows, columns = pixels.shape
    lightest = int(pixels[:, columns // 2].argmax())
    assert (rows - 1 - lightest) / (rows - 1) * 8000 == pytest.approx(hertz, abs=40)
    assert columns == pytest.approx(100, abs=3), "10 ms each"


def test_levels_are_below_the_loudest_of_all() -> None:
    loud, quiet = spectrograms([a_tone(1000), a_tone(1000, level=0.1)])
    assert levels(loud.png).max() == 255
    assert levels(quiet.png).max() == pytest.approx(255 * (1 - 20 / 80), abs=2)


def test_axes_are_seconds_and_kilohertz() -> None:
    (found,) = spectrograms([a_tone(1000, seconds=2.5)])
    assert [(one.label, one.percent) for one in found.frequencies] == [
        ("0", "100.00"), ("2", "75.00"), ("4", "50.00"), ("6", "25.00"), ("8 kHz", "0.00"),
    ]  # fmt: skip
    assert [one.label for one in found.times] == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5 s"]


def test_silence_and_what_is_shorter_than_a_window_are_pictures_too() -> None:
    for one in spectrograms([np.zeros(1600, dtype=np.float32), np.zeros(3, dtype=np.float32)]):
        assert levels(one.png).size
