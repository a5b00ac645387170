"""Selection: a few bad clips are left out and told, too many of them refuse the dataset."""

import pytest

from voice_trainer.errors import BadDataset
from voice_trainer.recordings.findings import WHOLE, Finding
from voice_trainer.recordings.selection import FINDINGS_SHOWN, require_enough_good, summary_findings


def bad(clip: str, reason: str = "NoisyClip") -> Finding:
    return Finding(clip, reason, f"{clip} is bad", "refusal")


def warned(clip: str) -> Finding:
    return Finding(clip, "MainsHum", f"{clip} hums", "warning")


@pytest.mark.parametrize(
    ("findings", "allowed", "left_out"),
    [
        pytest.param([], 0, set(), id="nothing found"),
        pytest.param([warned("a"), warned("b")], 0, set(), id="warnings leave nothing out"),
        pytest.param([bad("a"), bad("b")], 20, {"a", "b"}, id="as many as are allowed"),
        pytest.param([bad("a"), bad("a", "WrongText")], 10, {"a"}, id="a clip counts once"),
    ],
)
def test_a_few_bad_clips_are_left_out(findings: list[Finding], allowed: int, left_out: set[str]) -> None:
    assert require_enough_good(findings, 10, allowed) == left_out


def test_too_many_refuse_the_dataset_with_all_of_them_and_the_most_frequent_reason() -> None:
    findings = [bad("a", "WrongText"), warned("b"), bad("c"), bad("d")]
    with pytest.raises(BadDataset) as raised:
        require_enough_good(findings, 10, 20)
    assert raised.value.reason == "NoisyClip"
    assert "3 of 10 clips are unusable, 30 %; dataset.maxRejected allows 20 %" in str(raised.value)
    assert all(f"{clip} is bad" in str(raised.value) for clip in "acd")


def test_what_is_wrong_with_the_dataset_as_a_whole_is_not_tolerated() -> None:
    with pytest.raises(BadDataset) as raised:
        require_enough_good([bad("a"), bad("b"), Finding(WHOLE, "BadMetadataRow", "line 1", "refusal")], 100, 100)
    assert raised.value.reason == "BadMetadataRow"
    assert "maxRejected" not in str(raised.value)


def test_no_clip_may_be_bad_where_none_is_allowed() -> None:
    with pytest.raises(BadDataset, match="allows 0 %"):
        require_enough_good([bad("a")], 1000, 0)


def test_the_status_shows_every_bad_clip_once_before_any_twice() -> None:
    findings = [warned("w"), *(bad("a", f"Reason{n}") for n in range(30)), bad("b")]
    shown = summary_findings(findings)
    assert len(shown) == FINDINGS_SHOWN
    assert [one["clip"] for one in shown[:3]] == ["a", "b", "a"]
    assert all(one["rejected"] for one in shown)


def test_a_message_is_bounded() -> None:
    (shown,) = summary_findings([Finding("a", "NoisyClip", "x" * 5000, "warning")])
    assert len(str(shown["message"])) <= 400
    assert shown["rejected"] is False
