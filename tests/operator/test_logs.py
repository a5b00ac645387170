"""Logs: one JSON object a line with the object that is being reconciled, or text for terminals."""

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from voice_operator.logs import configure, current_key
from voice_operator.reconcile.names import Key


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, kopf = logging.getLogger(), logging.getLogger("kopf")
    handlers, level, of_kopf = root.handlers[:], root.level, kopf.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    kopf.setLevel(of_kopf)
    current_key.set(None)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_an_object_with_the_resource_that_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log = logging.getLogger("voice_operator.voices")
    log.info("nothing is reconciled")
    current_key.set(Key("VoiceModel", "studio", "alice"))
    log.warning("%s is missing", "a Secret")
    before, about = lines(capsys)
    assert (about["level"], about["logger"], about["message"]) == (
        "WARNING",
        "voice_operator.voices",
        "a Secret is missing",
    )
    assert (about["controller"], about["namespace"], about["object"]) == ("voicemodel", "studio", "alice")
    assert len(about["time"]) == len("2026-11-23T06:07:00+0000")
    assert "object" not in before


def test_an_exception_is_in_the_same_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("voice_operator").exception("a bug")
    (line,) = lines(capsys)
    assert line["message"] == "a bug"
    assert "ValueError: invalid literal" in line["exception"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "text")
    logging.getLogger("voice_operator").info("unseen")
    logging.getLogger("voice_operator").warning("seen")
    assert capsys.readouterr().err.endswith("WARNING voice_operator seen\n")


def test_kopf_does_not_log_every_event_of_every_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("kopf.objects").info("Handler 'VoiceModel-changed' succeeded.")
    assert lines(capsys) == []


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_name_forges_no_line_and_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], log_format: Literal["text", "json"]
) -> None:
    configure("info", log_format)
    logging.getLogger("voice_operator").info("%s agreed", "Alice\n2026-11-29 ERROR forged\x1b[2J\u2028\u202e")
    (line,) = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert line.isprintable()
    assert "Alice\\n2026" in line
