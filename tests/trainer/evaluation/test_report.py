"""The report: one page with everything in it, honest about gates, and safe to open whatever the transcripts hold."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from voice_trainer.evaluation.curves import Point, plot_curve
from voice_trainer.evaluation.recordings_report import ClipJudgement, FindingReport, RecordingsReport
from voice_trainer.evaluation.report import (
    ActiveReport,
    ClipReport,
    MetricReport,
    Pictures,
    Report,
    Score,
    SentenceReport,
    SimilarityReport,
    render_html,
)
from voice_trainer.evaluation.spectrograms import spectrograms
from voice_trainer.recordings.audio import write_flac

EVIL = '<script>alert("x")</script>'


def a_metric(name: str, verdicts: list[str], *, passed: bool | None) -> MetricReport:
    score = Score(mean="1.200", low="1.100", high="1.300", n=3)
    bounds = ["≥ 3.5"] * len(verdicts)
    return MetricReport(
        metric=name, meaning=EVIL, voice=score, active=score, difference="worse", base=score, recordings=None,
        bounds=bounds, verdicts=verdicts, passed=passed,
    )  # fmt: skip


def a_sentence(**changes: object) -> SentenceReport:
    known: dict[str, object] = {
        "text": EVIL,
        "recognised": EVIL,
        "seconds": "1.00",
        "file": "samples/sentence-1.flac",
        "base_file": "samples/sentence-1.base.flac",
        "active_file": "samples/sentence-1.active.flac",
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
        "active": ActiveReport(revision="alice-0d1e2f3a", problem=""),
        "similarity": SimilarityReport(
            names=["recordings", "voice"], counts=[3, 1], cells=[["0.91", "0.74"], ["0.74", ""]]
        ),
        "method": "Token-forced resynthesis.",
        "passed": False,
        "recogniser": EVIL,
        "gates": [{"metric": "pesq", "min": "3.5", "value": "1.2", "verdict": "failed", "passed": False}],
        "gates_from": "default",
        "metrics": [a_metric("pesq", ["failed"], passed=False), a_metric("wer", [], passed=None)],
        "semantic": {EVIL: EVIL},
        "clips": [ClipReport(id="c1", text=EVIL, pesq="1.2", stoi="", base_pesq="1.1", base_stoi="")],
        "samples": [a_sentence(), a_sentence(file="", base_file="", active_file="")],
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


def some_recordings() -> RecordingsReport:
    finding = FindingReport(clip="c1", reason="NoisyClip", message=EVIL, rejected=True)
    clip = ClipJudgement(
        id="c1", text=EVIL, rejected=True, denoised=False, file="", other_file="", seconds=2.0, values={"snrDb": 3.0},
        overall_before=2.0, rms_dbfs=-20.0, true_peak_dbtp=-1.0, limited_db=0.0, limited_percent=0.0,
        findings=[finding],
    )  # fmt: skip
    return RecordingsReport(
        voice="studio/alice", input_hash="0" * 64, language="en", denoise="auto", max_rejected=20, clips=[clip],
        findings=[], created_at="2026-11-23T06:00:00Z",
    )  # fmt: skip


KINDS = ("recording", "resynthesis", "voice", "active", "base")


def some_pictures() -> Pictures:
    silence = [np.zeros(1600, dtype=np.float32)] * len(KINDS)
    curve = plot_curve(EVIL, [Point(1, 2.0, 0.5), Point(2, 1.0, 0.5)], kept=1)
    return Pictures([curve], {"c1": dict(zip(KINDS, spectrograms(silence), strict=True))}, some_recordings())


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the report names, each a tenth of a second."""
    folder = tmp_path_factory.mktemp("evaluate")
    spoken = [f"c1.{kind}" for kind in ("recording", "resynthesis", "spoken", "spoken.active", "spoken.base")]
    for name in (*spoken, "sentence-1", "sentence-1.active", "sentence-1.base"):
        write_flac(folder / "samples" / f"{name}.flac", np.zeros(1600, dtype=np.float32), 16000)
    write_flac(folder / "reference.flac", np.zeros(1600, dtype=np.float32), 16000)
    return folder


@pytest.fixture(scope="module")
def a_page(sounds: Path) -> Callable[..., str]:
    return lambda **changes: render_html(a_report(**changes), some_pictures(), sounds)


Render = Callable[..., str]


def test_the_page_has_everything_inside_and_asks_for_nothing(a_page: Render) -> None:
    found = Collector()
    found.feed(a_page())
    assert found.tags.count("script") == 1
    assert found.tags.count("image") == 5
    assert found.tags.count("audio") == 12, "A, B and the speaker, three of a sentence, five of a clip, the prompt"
    assert found.tags.count("polyline") == found.tags.count("polygon") == 1
    kept = [source for source in found.sources if not source.startswith("#")]
    assert all(source.startswith(("data:image/png;base64,", "data:audio/flac;base64,")) for source in kept)


@pytest.mark.parametrize(
    "change",
    [
        {"voice": EVIL},
        {"language": EVIL},
        {"revision": EVIL},
        {"active": ActiveReport(revision=EVIL, problem=EVIL)},
        {"active": ActiveReport(revision=EVIL, problem="")},
        {"prompt": {"id": EVIL, "text": EVIL, "seconds": EVIL}},
        {"recordings": {EVIL: EVIL}},
        {"clips": [ClipReport(id='"><script>', text="x", pesq="", stoi="", base_pesq="", base_stoi="")]},
        {"samples": [a_sentence(file='"><script>')]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_value_can_add_a_tag(a_page: Render, change: dict[str, object]) -> None:
    found = Collector()
    found.feed(a_page(**change))
    assert found.tags.count("script") == 1, "the page's own"


def test_the_policy_allows_the_style_and_the_script_of_the_page_alone(a_page: Render) -> None:
    page = a_page()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    allowed = dict(rule.split(" ", 1) for rule in policy.replace("&#39;", "'").split("; "))
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {
        "default-src": "'none'", "img-src": "data:", "media-src": "data:", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip
    assert " style=" not in page  # the policy would refuse it


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("spec", "The gates come from the VoiceModel."),
        ("default", "the documented defaults apply"),
        ("base", "passing them does not mean passing those"),
    ],
)
def test_the_page_says_whose_gates_were_used(a_page: Render, origin: str, sentence: str) -> None:
    assert sentence in a_page(gates_from=origin)


def test_a_failed_gate_is_shown_as_failed(a_page: Render) -> None:
    page = a_page()
    assert '<span class="failed">failed</span>' in page.replace("\n", "")
    assert '<span class="badge failed">failed</span>' in page
    assert "≥ 3.5" in page


def test_scores_and_gates_may_be_missing(a_page: Render) -> None:
    page = a_page(metrics=[], gates=[], samples=[], clips=[])
    assert "No gates" in page
    assert "neither the job nor the base names any" in page


def test_the_verdict_comes_first_and_says_what_was_left_to_the_mean(a_page: Render) -> None:
    page = a_page()
    assert page.index("Not reached: pesq.") < page.index("<table")
    unsure = a_page(passed=True, metrics=[a_metric("cer", ["inconclusive"], passed=True)])
    assert "All gates are reached. Inconclusive, decided by the mean: cer;" in unsure
    assert "inconclusive, passed by its mean" in unsure


def test_recordings_whose_texts_are_other_words_are_told(a_page: Render) -> None:
    def with_cer(mean: str) -> str:
        recordings = Score(mean=mean, low="", high="", n=1)
        return a_page(metrics=[a_metric("cer", [], passed=None).model_copy(update={"recordings": recordings})])

    assert "the texts may not be what is said" in with_cer("1.193")
    assert "may not be what is said" not in with_cer("0.404")


def test_wide_tables_scroll_by_keyboard_and_players_have_names(a_page: Render) -> None:
    page = a_page()
    assert page.count('class="scroll" role="region"') == page.count('class="scroll"') == 5
    assert all("aria-label=" in player for player in re.findall(r"<audio[^>]*>", page)), (
        "each player says what it plays"
    )


def test_the_served_revision_has_a_column_and_a_sentence(a_page: Render) -> None:
    page = a_page()
    assert "Compared with alice-0d1e2f3a, which is served: worse in pesq, wer; no other metric differs" in page
    assert '<th scope="col" class="number">active revision</th>' in page
    assert "this voice is worse" in page
    assert 'data-other="sentence-1-active"' in page


def test_without_a_served_revision_the_base_alone_is_what_remains(a_page: Render) -> None:
    page = a_page(active=None)
    assert "Nothing is served yet" in page
    assert "active revision</th>" not in page
    assert 'data-other="sentence-1-base"' in page
    broken = a_page(active=ActiveReport(revision="alice-0d1e2f3a", problem="it was made from another base"))
    assert "Not compared with alice-0d1e2f3a, which is served: it was made from another base." in broken
    assert "active revision</th>" not in broken


def test_who_sounds_like_whom_is_a_table(a_page: Render) -> None:
    page = a_page()
    assert '<td class="number heat-8">0.91</td><td class="number heat-4">0.74</td>' in page
    assert '<td class="number ">none</td>' in page, "a single sentence is no pair"


def test_the_clips_of_the_recordings_are_listed_with_what_is_wrong(a_page: Render) -> None:
    page = a_page()
    assert "1 clips as stage prepare measured them, 1 left out" in page
    assert "c1 (left out)" in page
