"""Variables of the process: precedence and defaults."""

from pathlib import Path

import pytest

from voice_operator.environment import Environment


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VOICE_OPERATOR_CONFIG", "VOICE_OPERATOR_LOG_LEVEL", "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_those_of_the_image() -> None:
    assert Environment.load() == Environment(config=Path("/etc/voice-operator/config.yaml"), log_level="info")


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_OPERATOR_CONFIG", "/variable.yaml")
    monkeypatch.setenv("VOICE_OPERATOR_LOG_LEVEL", "debug")
    monkeypatch.setenv("POD_NAMESPACE", "voice-system")
    found = Environment.load(config="/flag.yaml", log_level=None)
    assert (str(found.config), found.log_level, found.namespace) == ("/flag.yaml", "debug", "voice-system")


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_OPERATOR_CONFIG", "")
    assert str(Environment.load().config) == "/etc/voice-operator/config.yaml"
