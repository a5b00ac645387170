"""Findings: warnings are told and let training go on, refusals end it, all of them in one error."""

import pytest

from voice_trainer.errors import BadDataset
from voice_trainer.recordings.findings import Finding, FindingList


def test_warnings_are_told_at_once_and_do_not_forbid_training() -> None:
    told: list[Finding] = []
    findings = FindingList(tell=told.append)
    findings.warn("ChannelInverted", "one channel is the other's inverse", "one")
    assert told == [Finding("one", "ChannelInverted", "one channel is the other's inverse", "warning")]
    assert findings.warnings == tuple(told)
    findings.require_no_refusal()


def test_refusals_end_in_one_error_whose_reason_is_the_first() -> None:
    findings = FindingList()
    findings.warn("ChannelInverted", "a warning")
    findings.refuse("SilentClip", "one is silent", "one")
    findings.refuse("ClipTooLong", "two is too long", "two")
    with pytest.raises(BadDataset, match=r"2 problems in the dataset: one is silent \[SilentClip\]; two is") as raised:
        findings.require_no_refusal()
    assert raised.value.reason == "SilentClip"
