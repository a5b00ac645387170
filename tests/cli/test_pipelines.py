"""The pipelines call the command line with options that it has; shells and completions work."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import Checkout, Voice, make_folder

from voice_cli.commands.all import voice as root
from voice_cli.completion import answer
from voice_operator.api.voice_model import VoiceModelSpec

FILES = ["gitlab/voices.yml", "github/action.yml", "jenkins/vars/voicePush.groovy", "hooks/post-receive"]


@pytest.mark.parametrize("name", FILES)
def test_every_option_that_a_pipeline_uses_exists(repository: Path, name: str) -> None:
    text = (repository / "ci" / name).read_text()
    used = set(
        re.findall(r"(?<=[\s'(])--[a-z-]+", "\n".join(re.findall(r".*(?:voice push|MODE|ERASE|options).*", text)))
    )
    known = {option for parameter in root.commands["push"].params for option in parameter.opts}
    assert used, name
    assert used <= known


def test_jobs_of_gitlab_are_whole(repository: Path) -> None:
    inputs, jobs = yaml.safe_load_all((repository / "ci/gitlab/voices.yml").read_text())
    text = (repository / "ci/gitlab/voices.yml").read_text().partition("---\n")[2]
    assert set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", text)) == set(inputs["spec"]["inputs"])
    scripts = [line for name in ("check", "push", "erase") for line in jobs[f"voices-{name}"]["script"]]
    assert all(shlex.split(line)[:3] == ["voice", "push", "--changed"] for line in scripts)
    assert [("--erase-deleted" in line) for line in scripts] == [False, False, True]
    assert jobs["voices-erase"]["rules"][0]["when"] == "manual"


@pytest.mark.parametrize(("role", "written"), [("arn:aws:iam::1:role/voices", "token 600"), ("", "none")])
def test_a_job_of_gitlab_has_the_identity_token_where_a_role_is_named(
    repository: Path, tmp_path: Path, role: str, written: str
) -> None:
    _, jobs = yaml.safe_load_all((repository / "ci/gitlab/voices.yml").read_text())
    (keep,) = [line for line in jobs[".voices"]["before_script"] if "VOICE_IDENTITY" in line]
    tell = 'f=${AWS_WEB_IDENTITY_TOKEN_FILE:-}; if [ "$f" ]; then cat "$f"; stat -c " %a" "$f"; else echo none; fi'
    variables = {"CI_PROJECT_DIR": str(tmp_path / "project"), "VOICE_IDENTITY": "token", "AWS_ROLE_ARN": role}
    shell = ["env", "-i", "PATH=/usr/bin:/bin", *(f"{name}={value}" for name, value in variables.items()), "sh", "-euc"]
    done = subprocess.run([*shell, f"{keep}\n{tell}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == written


@pytest.mark.parametrize("name", ["hooks/post-receive"])
def test_shell_is_shell(repository: Path, name: str) -> None:
    subprocess.run(["sh", "-n", str(repository / "ci" / name)], check=True)


def test_the_action_passes_nothing_into_its_script_as_text(repository: Path) -> None:
    steps = yaml.safe_load((repository / "ci/github/action.yml").read_text())["runs"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    assert ["${{" in script for script in scripts] == [True, False], "only the caller's own install command"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(voice: Voice, shell: str) -> None:
    done = voice("completion", shell)
    assert (done.code, "_VOICE_COMPLETE" in done.out) == (0, True)


def test_kubectl_is_answered_as_cobra_does() -> None:
    assert answer(root, ["rollb"]).splitlines()[-1] == ":4"
    assert answer(root, ["rollb"]).startswith("rollback\tServe an earlier revision")
    assert answer(root, ["list", "-o", "ya"]) == "yaml\n:4\n"


def test_the_manual_has_every_command(voice: Voice) -> None:
    page = voice("man").out
    assert page.startswith(".TH KUBECTL-VOICE 1")
    assert [name for name in root.commands if f".SS kubectl voice {name}" not in page] == []


def test_rendered_folders_are_the_same_text_each_time_and_valid_voices(
    voice: Voice, checkout: Checkout, bucket: Callable[[str], list[str]]
) -> None:
    folders = [make_folder(checkout.voices / name) for name in ("bob", "alice")]
    commit = checkout.commit("both")
    options = ("-n", "render", "--datasets", "s3://voices/datasets/{namespace}", "--requested-by", "flux")
    done = voice("render", *folders, *options, "--upload")
    assert done.code == 0, done.err
    assert voice("render", *reversed(folders), *options).out == done.out
    documents = list(yaml.safe_load_all(done.out))
    assert [(one["metadata"]["name"], one["spec"]["source"]["commit"]) for one in documents] == [
        ("alice", commit),
        ("bob", commit),
    ]
    for one in documents:
        assert VoiceModelSpec.model_validate(one["spec"]).dataset.digest.startswith("sha256:")
        assert len(bucket(one["spec"]["dataset"]["uri"])) == 9


def test_folders_that_cannot_be_rendered_are_all_told(voice: Voice, checkout: Checkout) -> None:
    (checkout.voices / "bad").mkdir(parents=True)
    good = make_folder(checkout.voices / "good")
    done = voice("render", good, checkout.voices / "bad", "-n", "x", "--datasets", "s3://voices/x")
    assert (done.code, done.out) == (3, "")
    assert "bad: voice.yaml is missing" in done.err
