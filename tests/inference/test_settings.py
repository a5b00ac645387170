"""Flags and variables become settings, or an error that names them."""

import argparse
import socket
from pathlib import Path

import pytest

from voice_inference.__main__ import main
from voice_inference.api.connections import listen
from voice_inference.errors import InvalidSettings
from voice_inference.settings import Settings, add_flags, read_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VOICE_{name.upper()}", raising=False)
    return monkeypatch


def read(*arguments: str) -> Settings:
    parser = argparse.ArgumentParser()
    source = add_flags(parser)
    return read_settings(source, parser.parse_args(arguments))


def test_flags_win_over_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VOICE_PORT", "1")
    environment.setenv("VOICE_VOICES", "/etc/voices/voices.json")
    settings = read("--port", "1234")
    assert (settings.port, settings.voices) == (1234, Path("/etc/voices/voices.json"))


def test_an_empty_value_counts_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VOICE_PORT", "")
    settings = read("--voices", "", "--operator-url", "http://operator")
    assert (settings.port, settings.voices) == (8080, None)


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        pytest.param(["--port", "many"], {}, r"^--port: .*integer.*\(found 'many'\)$", id="a flag"),
        pytest.param([], {"VOICE_QUEUE": "-1"}, r"^VOICE_QUEUE: .*\(found '-1'\)$", id="a variable"),
        pytest.param(
            [], {"VOICE_PORT": "tcp://10.0.0.1:80"}, "^VOICE_PORT: .*enableServiceLinks", id="a Service called voice"
        ),
        pytest.param(["--port", "tcp://x"], {}, r"found 'tcp://x'\)$", id="a flag that is no Service link"),
        pytest.param(
            ["--operator-url", "operator:80"], {}, "^--operator-url: .*'operator:80'", id="an address without a scheme"
        ),
        pytest.param(["--log-level", "loud"], {}, "^--log-level: .*'debug'.*'loud'", id="an unknown choice"),
        pytest.param(
            ["--port", "many"], {"VOICE_WORKERS": "0"}, "^--port: .*; VOICE_WORKERS: .*", id="a flag and a variable"
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_source(
    environment: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    for name, value in ({"VOICE_VOICES": "voices.json"} | variables).items():
        environment.setenv(name, value)
    with pytest.raises(InvalidSettings, match=message):
        read(*arguments)


def test_a_server_without_a_list_of_voices_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["serve"], []):
        assert main(arguments) == 64
    assert "--operator-url" in capsys.readouterr().err


def test_variables_of_other_programs_are_ignored(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("VOICE_SERVICE_HOST", "10.0.0.1")
    assert read("--voices", "voices.json").voices == Path("voices.json")


def test_a_registry_is_served_on_this_machine_alone_unless_more_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "voices.json").write_text("{}")
    settings = read(str(tmp_path), "--port", "1")
    assert (settings.host, settings.port, settings.bare_names) == ("127.0.0.1", 1, "local")
    assert (settings.voices, settings.cache) == (tmp_path / "voices.json", tmp_path / ".cache")
    asked = read(str(tmp_path), "--host", "::1", "--cache", "/tmp/cache", "--bare-names", "studio")
    assert (asked.host, asked.cache, asked.bare_names) == ("::1", Path("/tmp/cache"), "studio")


def test_a_folder_without_voices_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"voices.json does not exist: .*train one with voice-trainer train"):
        read(str(tmp_path))


def test_help_names_every_flag_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for name, field in Settings.model_fields.items():
        assert (f"--{name.replace('_', '-')}" if name != "registry" else "[REGISTRY]") in shown
        assert f"VOICE_{name.upper()}" in shown
        assert " ".join((field.description or "").split()[:3]) in " ".join(shown.split())


@pytest.mark.parametrize(("cpus", "workers", "threads"), [(4, 1, 4), (4, 2, 2), (2, 4, 1)])
def test_the_usable_cpus_are_divided_among_the_workers(
    environment: pytest.MonkeyPatch, cpus: int, workers: int, threads: int
) -> None:
    environment.setattr("voice_inference.settings.usable_cpus", lambda: cpus)
    assert read("--voices", "x", "--workers", str(workers)).threads_per_worker == threads
    assert read("--voices", "x", "--workers", str(workers), "--threads", "7").threads_per_worker == 7


def test_a_pod_is_reached_by_both_families_on_one_port() -> None:
    sockets = listen("*", 0, most=8)
    port = sockets[0].getsockname()[1]
    for host in ("127.0.0.1", "::1")[: len(sockets)]:
        socket.create_connection((host, port), timeout=5).close()
    for one in sockets:
        one.close()
    assert len(sockets) == 1 + socket.has_ipv6


@pytest.mark.parametrize(
    ("host", "words"), [("127.0.0.1", "in use"), ("192.0.2.1", "Cannot assign"), ("no such host.invalid", "not known")]
)
def test_an_address_that_cannot_be_listened_on_is_named(host: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSettings, match=rf"--host={host} --port={port}: .*{words}.*; give others"):
            listen(host, port, most=8)


@pytest.mark.parametrize(("weights", "bits"), [("fp32", 32), ("int8", 8), ("int4", 4)])
def test_the_weights_of_s1_are_chosen_by_name(weights: str, bits: int) -> None:
    assert read("--voices", "x", "--s1-weights", weights).step_bits == bits


def test_s1_is_exact_unless_told_otherwise() -> None:
    assert read("--voices", "x").step_bits == 32
