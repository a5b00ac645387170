"""The report: self-contained, honest about gates, and safe to open whatever the transcripts hold."""

import struct
import zlib
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

from voice_trainer.evaluation.plots import curves_svg, spectrogram_image
from voice_trainer.evaluation.report import ClipReport, Report, Sample, Score, render_html

EVIL = '<script>alert("x")</script>'


def a_report(**changes: object) -> Report:
    fields: dict[str, object] = {
        "voice": "studio/alice",
        "revision": "alice-3fa9c2d1",
        "input_hash": "0" * 64,
        "language": "en",
        "base": {"name": "tiny", "digest": "sha256:0"},
        "method": "Token-forced resynthesis.",
        "passed": False,
        "gates": [{"metric": "pesq", "min": "3.5", "value": "1.2", "passed": False}],
        "gates_from": "default",
        "scores": {"pesq": Score(mean="1.200", interval="0.100", n=3)},
        "base_scores": {"pesq": Score(mean="1.100", interval="0.100", n=3)},
        "semantic": {"held-out codes": "4.1"},
        "clips": [ClipReport(id="c1", text=EVIL, pesq="1.2", stoi="", base_pesq="1.1", base_stoi="")],
        "samples": [Sample(file="samples/sentence-1.flac", text=EVIL, seconds="1.00")],
        "prompt": {"id": "c2", "text": EVIL, "seconds": "4.00"},
        "recordings": {"clips": "30"},
        "training": {"epochs": "10"},
        "created_at": "2026-11-23T06:00:00Z",
    }
    return Report.model_validate(fields | changes)


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_refers_only_to_samples_beside_it_and_runs_nothing() -> None:
    image = spectrogram_image(np.zeros(1600, dtype=np.float32), EVIL)
    page = render_html(a_report(), {EVIL: {EVIL: [(1, 2.0), (2, 1.0)]}}, {"c1": {"recording": image}})
    found = Collector()
    found.feed(page)
    assert "script" not in found.tags
    assert found.sources
    assert all(source.startswith(("samples/", "data:image/png;base64,")) for source in found.sources)


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("spec", "The gates come from the VoiceModel."),
        ("default", "the defaults apply"),
        ("base", "passing them does not mean passing those"),
    ],
)
def test_the_page_says_whose_gates_were_used(origin: str, sentence: str) -> None:
    assert sentence in render_html(a_report(gates_from=origin), {}, {})


def test_a_failed_gate_is_shown_as_failed() -> None:
    page = render_html(a_report(), {}, {})
    assert '<span class="failed">failed</span>' in page
    assert "≥ 3.5" in page


def test_a_spectrogram_is_a_readable_image_with_the_tone_where_it_belongs() -> None:
    time = np.arange(16000) / 16000
    image = spectrogram_image(np.sin(2 * np.pi * 2000 * time).astype(np.float32), "a tone")
    data = b64decode(image.split("base64,")[1].split('"')[0])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    columns, rows = struct.unpack(">II", data[16:24])
    length = struct.unpack(">I", data[33:37])[0]
    pixels = np.frombuffer(zlib.decompress(data[41 : 41 + length]), dtype=np.uint8).reshape(rows, columns + 1)[:, 1:]
    darkest = int(pixels[:, columns // 2].argmin())
    assert (rows - 1 - darkest) / (rows - 1) * 8000 == pytest.approx(2000, abs=40)


@pytest.mark.parametrize("curve", [[], [(1.0, 5.0)], [(1.0, 5.0), (2.0, 5.0)]])
def test_a_curve_may_be_empty_a_point_or_flat(curve: list[tuple[float, float]]) -> None:
    drawn = curves_svg("loss", {"x": curve})
    assert ("polyline" in drawn) is bool(curve)
    assert "nan" not in drawn
