"""Flags and variables become settings, or an error that names them."""

from pathlib import Path

import pytest

from voice_inference.__main__ import main
from voice_inference.errors import InvalidSettings
from voice_inference.settings import Settings, cpu_limit, read_settings


def test_flags_win_over_the_environment() -> None:
    settings = read_settings({"port": "1234"}, {"VOICE_PORT": "1", "VOICE_VOICES": "/etc/voices/voices.json"})
    assert (settings.port, settings.voices) == (1234, Path("/etc/voices/voices.json"))


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        pytest.param({"port": "many"}, {}, "--port is 'many'", id="a flag"),
        pytest.param({}, {"VOICE_QUEUE": "-1"}, "VOICE_QUEUE is '-1'", id="a variable"),
        pytest.param({}, {"VOICE_PORT": "tcp://10.0.0.1:80"}, "enableServiceLinks", id="a Service called voice"),
        pytest.param({"operator_url": "operator:80"}, {}, "--operator-url is 'operator:80'", id="no URL"),
    ],
)
def test_a_wrong_value_is_named_with_its_source(
    flags: dict[str, str | None], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidSettings, match=message):
        read_settings(flags, {"VOICE_VOICES": "voices.json"} | environment)


def test_a_server_without_a_list_of_voices_does_not_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICE_VOICES", raising=False)
    monkeypatch.delenv("VOICE_OPERATOR_URL", raising=False)
    for arguments in (["serve"], []):
        assert main(arguments) == 64
    assert "--operator-url" in capsys.readouterr().err


def test_help_names_every_flag_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
        assert f"VOICE_{name.upper()}" in shown


@pytest.mark.parametrize(
    ("content", "most"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 10_000), ("odd", 10_000)]
)
def test_the_cpu_limit_comes_from_the_cgroup(tmp_path: Path, content: str, most: int) -> None:
    cpu_max = tmp_path / "cpu.max"
    cpu_max.write_text(content)
    assert 1 <= cpu_limit(cpu_max) <= most
