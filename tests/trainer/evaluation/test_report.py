"""The report: self-contained, honest about gates, and safe to open whatever the transcripts hold."""

import hashlib
import io
import re
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from voice_trainer.evaluation.plots import Epoch, epochs_of, plot_epochs, spectrogram_png
from voice_trainer.evaluation.report import (
    ClipReport,
    MetricReport,
    Report,
    Score,
    SentenceReport,
    Spectrograms,
    render_html,
)

EVIL = '<script>alert("x")</script>'


def a_metric(name: str, verdicts: list[str], *, passed: bool | None) -> MetricReport:
    score = Score(mean="1.200", low="1.100", high="1.300", n=3)
    bounds = ["≥ 3.5"] * len(verdicts)
    return MetricReport(
        metric=name, meaning=EVIL, voice=score, base=score, recordings=None, bounds=bounds, verdicts=verdicts,
        passed=passed,
    )  # fmt: skip


def a_sentence(**changes: object) -> SentenceReport:
    known: dict[str, object] = {
        "text": EVIL,
        "recognised": EVIL,
        "seconds": "1.00",
        "file": "samples/sentence-1.flac",
        "base_file": "samples/sentence-1.base.flac",
        "cer": "0.1",
        "similarity": "0.8",
        "dnsmos": "3.0",
        "duration_ratio": "1.0",
        "remarks": [EVIL],
    }
    return SentenceReport.model_validate(known | changes)


def a_report(**changes: object) -> Report:
    fields: dict[str, object] = {
        "voice": "studio/alice",
        "revision": "alice-3fa9c2d1",
        "input_hash": "0" * 64,
        "language": "en",
        "base": {"name": "tiny", "digest": "sha256:0"},
        "method": "Token-forced resynthesis.",
        "passed": False,
        "recogniser": EVIL,
        "gates": [{"metric": "pesq", "min": "3.5", "value": "1.2", "verdict": "failed", "passed": False}],
        "gates_from": "default",
        "metrics": [a_metric("pesq", ["failed"], passed=False), a_metric("wer", [], passed=None)],
        "semantic": {EVIL: EVIL},
        "clips": [ClipReport(id="c1", text=EVIL, pesq="1.2", stoi="", base_pesq="1.1", base_stoi="")],
        "samples": [a_sentence(), a_sentence(file="", base_file="")],
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


def a_page(**changes: object) -> str:
    image = spectrogram_png(np.zeros(1600, dtype=np.float32))
    plots = [plot_epochs(EVIL, EVIL, [Epoch(1, 2.0, 1.5, 2.5), Epoch(2, 1.0, 0.5, 1.5)])]
    return render_html(a_report(**changes), plots, [Spectrograms("c1", image, image)])


def test_the_page_refers_only_to_sounds_beside_it_and_runs_nothing() -> None:
    found = Collector()
    found.feed(a_page())
    assert "script" not in found.tags
    assert found.tags.count("img") == 2
    assert found.tags.count("audio") == 7, "two of a sentence, four of a clip, the prompt"
    assert found.tags.count("polyline") == found.tags.count("polygon") == 1
    assert all(source.startswith(("samples/", "reference.flac", "data:image/png;base64,")) for source in found.sources)


@pytest.mark.parametrize(
    "change",
    [
        {"voice": EVIL},
        {"language": EVIL},
        {"prompt": {"id": EVIL, "text": EVIL, "seconds": EVIL}},
        {"recordings": {EVIL: EVIL}},
        {"clips": [ClipReport(id='"><script>', text="x", pesq="", stoi="", base_pesq="", base_stoi="")]},
        {"samples": [a_sentence(file='"><script>')]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_value_can_add_a_tag(change: dict[str, object]) -> None:
    found = Collector()
    found.feed(a_page(**change))
    assert "script" not in found.tags


def test_the_policy_allows_the_style_of_the_page_and_no_script() -> None:
    page = a_page()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(("default-src 'none'; ", "default-src &#39;none&#39;; "))
    assert f"sha256-{digest}" in policy
    assert "script-src" not in policy
    assert " style=" not in page  # the policy would refuse it


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("spec", "The gates come from the VoiceModel."),
        ("default", "the documented defaults apply"),
        ("base", "passing them does not mean passing those"),
    ],
)
def test_the_page_says_whose_gates_were_used(origin: str, sentence: str) -> None:
    assert sentence in a_page(gates_from=origin)


def test_a_failed_gate_is_shown_as_failed() -> None:
    page = a_page()
    assert '<span class="failed">failed</span>' in page
    assert '<span class="badge failed">failed</span>' in page
    assert "≥ 3.5" in page


def test_scores_and_gates_may_be_missing() -> None:
    page = a_page(metrics=[], gates=[], samples=[], clips=[])
    assert "No gates" in page
    assert "neither the job nor the base names any" in page


def test_a_spectrogram_is_a_readable_image_with_the_tone_where_it_belongs() -> None:
    time = np.arange(16000) / 16000
    image = Image.open(io.BytesIO(spectrogram_png(np.sin(2 * np.pi * 2000 * time).astype(np.float32))))
    assert (image.format, image.mode) == ("PNG", "L")
    pixels = np.asarray(image)
    rows, columns = pixels.shape
    darkest = int(pixels[:, columns // 2].argmin())
    assert (rows - 1 - darkest) / (rows - 1) * 8000 == pytest.approx(2000, abs=40)


def test_the_verdict_comes_first_and_says_what_was_left_to_the_mean() -> None:
    page = a_page()
    assert page.index("Not reached: pesq.") < page.index("<table")
    unsure = a_page(passed=True, metrics=[a_metric("cer", ["inconclusive"], passed=True)])
    assert "All gates are reached. Inconclusive, decided by the mean: cer;" in unsure
    assert "inconclusive, passed by its mean" in unsure


def test_recordings_whose_texts_are_other_words_are_told() -> None:
    def with_cer(mean: str) -> str:
        recordings = Score(mean=mean, low="", high="", n=1)
        return a_page(metrics=[a_metric("cer", [], passed=None).model_copy(update={"recordings": recordings})])

    assert "the texts may not be what is said" in with_cer("1.193")
    assert "may not be what is said" not in with_cer("0.404")


def test_wide_tables_scroll_by_keyboard_and_players_have_names() -> None:
    page = a_page()
    assert page.count('tabindex="0"') == page.count('class="scroll"') == 2
    assert page.count("<audio") == page.count("aria-label=") - page.count("<svg"), "each player says what it plays"


@pytest.mark.parametrize("epochs", [[], [Epoch(1, 5.0, 5.0, 5.0)], [Epoch(1, 5.0, 5.0, 5.0), Epoch(2, 5.0, 5.0, 5.0)]])
def test_a_curve_may_be_empty_a_point_or_flat(epochs: list[Epoch]) -> None:
    page = render_html(a_report(), [plot_epochs("loss", "x", epochs)], [])
    assert ("<polyline" in page) is bool(epochs)
    assert "nan" not in page


def test_a_curve_is_of_epochs_and_spans_the_plotted_area() -> None:
    epochs = epochs_of([(1, 6.0), (1, 4.0), (2, 3.0), (3, 4.0), (3, 2.0)])
    assert epochs[0] == Epoch(1, 5.0, 4.0, 6.0)
    plot = plot_epochs("loss", "x", epochs)
    assert plot.lines[0].points == "0.0,40.0 240.0,120.0 480.0,120.0"
    assert plot.lines[0].band.startswith("0.0,0.0 ")
    assert (plot.left, plot.right, plot.low, plot.high) == ("1", "3", "2", "6")
