"""The report on recordings: every clip with its players, values and findings, and nothing of a text becomes markup."""

from pathlib import Path
from typing import Any

from voice_trainer.evaluation.recordings_report import (
    ClipJudgement,
    FindingReport,
    RecordingsReport,
    render_recordings,
    write_recordings_report,
)
from voice_trainer.recordings.measures import MEASURES


def a_clip(**about: Any) -> ClipJudgement:
    known: dict[str, Any] = {
        "id": "a1",
        "text": "Hello <script>alert(1)</script>",
        "rejected": False,
        "denoised": True,
        "file": "clips/a1.flac",
        "other_file": "original/a1.flac",
        "seconds": 3.2,
        "values": {"clippedPercent": 0.01, "snrDb": 9.5, "overall": 3.1},
        "overall_before": 2.1,
        "rms_dbfs": -16.0,
        "true_peak_dbtp": -1.1,
        "limited_db": 3.4,
        "limited_percent": 2.2,
        "findings": [FindingReport(clip="a1", reason="NoisyClip", message="wavs/a1.wav: <b>noise</b>", rejected=False)],
    }
    return ClipJudgement.model_validate(known | about)


def a_report(*clips: ClipJudgement) -> RecordingsReport:
    whole = FindingReport(clip="", reason="ClipNotListed", message="x.wav is not used", rejected=False)
    return RecordingsReport(
        voice="studio/alice",
        input_hash="3fa9c2d1" * 8,
        language="en",
        shape="metadata.csv has lines of id|text",
        denoise="auto",
        max_rejected=20,
        clips=list(clips),
        findings=[whole],
        created_at="2026-11-23T06:07:00Z",
    )


def test_the_page_has_players_values_and_bounds() -> None:
    page = render_recordings(a_report(a_clip(), a_clip(id="b2", rejected=True, file="rejected/b2.flac")))
    for part in ("clips/a1.flac", "original/a1.flac", "rejected/b2.flac", "9.5 dB", "before 2.10", "-1.1 dBTP"):
        assert part in page
    assert "<p>metadata.csv has lines of id|text.</p>" in page
    assert "1 of 2 clips are used, 1 are left out" in page
    assert "x.wav is not used [ClipNotListed]" in page
    assert all(measure.reason in page for measure in MEASURES)


def test_what_people_wrote_is_text() -> None:
    page = render_recordings(a_report(a_clip()))
    assert "<script" not in page
    assert "&lt;b&gt;noise" in page
    assert "default-src &#39;none&#39;" in page


def test_both_documents_are_written(tmp_path: Path) -> None:
    report = a_report(a_clip())
    write_recordings_report(tmp_path, report)
    assert RecordingsReport.model_validate_json((tmp_path / "recordings.json").read_bytes()) == report
    assert (tmp_path / "recordings.html").read_text(encoding="utf-8") == render_recordings(report)
