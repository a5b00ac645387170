"""What counts as harm to others while a speech server is attacked."""

from typing import Any

from dev.speech_fuzz.__main__ import compared, markdown


def row(attack: str, listing: float, speaking: float) -> dict[str, Any]:
    seconds = {"list voices": listing, "speak": speaking}
    measured = {what: {"count": 100, "p50": p99 / 2, "p99": p99} for what, p99 in seconds.items()}
    return {"attack": attack, "sent": 10, "wrong": {}, "memory": [100.0], **measured}


def test_what_takes_more_than_twice_as_long_as_in_quiet_is_wrong() -> None:
    quiet, harmless, harmful = compared([row("nothing", 0.01, 1.0), row("a", 0.02, 1.9), row("b", 0.01, 2.1)])
    assert quiet["wrong"] == {}
    assert (harmless["times"], harmless["wrong"]) == ({"list voices": 2.0, "speak": 1.9}, {})
    assert harmful["wrong"] == {"p99 of speak: 2.1 times as long": 1}
    contract = {"requests": 1, "failures": []}
    table = markdown({"attacks": [quiet, harmless, harmful], "contract": contract})
    assert "| b | 10 | 1 | 100 | 5, 10 | 1.05, 2.10 | 100 | 1.00, 2.10 |" in table
    assert "- b: p99 of speak: 2.1 times as long (1)" in table


def test_a_witness_who_got_no_answer_has_no_times() -> None:
    _, silent = compared([row("nothing", 0.01, 1.0), {"attack": "a", "sent": 1, "wrong": {"500": 1}, "memory": []}])
    assert (silent["times"], silent["wrong"]) == ({}, {"500": 1})
