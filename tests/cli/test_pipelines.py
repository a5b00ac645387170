"""The pipelines call the command line with options that it has; shells and completions work."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import Voice

from voice_cli.commands.all import voice as root
from voice_cli.completion import answer

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


@pytest.mark.parametrize("name", ["hooks/post-receive"])
def test_shell_is_shell(repository: Path, name: str) -> None:
    subprocess.run(["sh", "-n", str(repository / "ci" / name)], check=True)


def test_the_action_passes_nothing_into_its_script_as_text(repository: Path) -> None:
    steps = yaml.safe_load((repository / "ci/github/action.yml").read_text())["runs"]["steps"]
    assert ["${{" in step["run"] for step in steps] == [True, False], "only the caller's own install command"


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
