"""The command line, as a person or a pod uses it."""

import subprocess
import sys
from pathlib import Path

import yaml


def voice_operator(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voice_operator", *arguments]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)


def test_the_crds_come_out_as_yaml() -> None:
    documents = list(yaml.safe_load_all(voice_operator("crds").stdout))
    assert [document["spec"]["names"]["kind"] for document in documents] == [
        "VoiceModel",
        "VoiceRevision",
        "VoiceServer",
    ]


def test_a_missing_configuration_is_a_sentence_and_not_a_traceback(tmp_path: Path) -> None:
    done = voice_operator("run", "--config", str(tmp_path / "none.yaml"))
    assert done.returncode == 64
    assert "none.yaml: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pod_without_arguments_runs_with_the_file_of_its_environment(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("images: {}\n")
    done = voice_operator(VOICE_OPERATOR_CONFIG=str(path))
    assert done.returncode == 64
    assert "images.trainer: missing; add it" in done.stderr


def test_a_flag_takes_precedence_over_its_variable(tmp_path: Path) -> None:
    done = voice_operator(
        "run", "--config", str(tmp_path / "flag.yaml"), VOICE_OPERATOR_CONFIG=str(tmp_path / "variable.yaml")
    )
    assert "flag.yaml: No such file" in done.stderr


def test_a_wrong_variable_is_named() -> None:
    done = voice_operator(VOICE_OPERATOR_LOG_LEVEL="loud")
    assert done.returncode == 64
    assert "VOICE_OPERATOR_LOG_LEVEL: 'loud': must be 'debug', 'info', 'warning' or 'error'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster_is_a_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "{images: {trainer: t, inference: i}, bases: {tiny: {uri: 'embedded:tiny'}}, storage: {uri: 'file:///nowhere'}}"
    )
    done = voice_operator("run", "--config", str(path), KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path))
    assert done.returncode == 64
    assert "no service account and no usable KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_added_to_pods_ends_it_at_its_start(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "{images: {trainer: t, inference: i}, bases: {tiny: {uri: 'embedded:tiny'}}, storage: {uri: 's3://voices'},"
        " stages: {train: {pod: {env: [{name: VOICE_SCRATCH, value: /}]}}}}"
    )
    done = voice_operator("run", "--config", str(path))
    assert done.returncode == 64
    assert "stages.train.pod: the variable VOICE_SCRATCH is written by the operator; leave it out" in done.stderr
    assert "Traceback" not in done.stderr
