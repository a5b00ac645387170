"""The pipelines' own scripts, run as their runners run them: in a checkout, with the variables of a push."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

NOTHING = "0" * 40  # the commit before the first one
SECONDS = 3600
_INPUT = re.compile(r"\$\[\[ inputs\.(\w+) \]\]")
_SETTING = re.compile(r'"(\w+)=\$\{options\.(\w+)(?: \?: \'?([^\'}]*)\'?| \? \'([^\']*)\' : \'([^\']*)\')?\}"')


@dataclass(frozen=True)
class Script:
    """What a runner executes, and the variables that it sets."""

    shell: Sequence[str]
    text: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Ran:
    """How a job ended."""

    code: int
    seconds: float
    log: str
    summary: str

    @property
    def last_line(self) -> str:
        return self.log.strip().splitlines()[-1]


def gitlab(repository: Path, job: str, namespace: str, base: str, head: str) -> Script:
    """A job of the GitLab component with its defaults."""
    header, jobs = yaml.safe_load_all((repository / "ci/gitlab/voices.yml").read_text())
    inputs = {name: str(one.get("default", "")) for name, one in header["spec"]["inputs"].items()}
    inputs |= {"namespace": namespace}
    text = "\n".join(_INPUT.sub(lambda found: inputs[found[1]], line) for line in jobs[job]["script"])
    return Script(("sh", "-eu"), text, {"CI_COMMIT_BEFORE_SHA": base, "CI_COMMIT_SHA": head})


def github(repository: Path, namespace: str, base: str, head: str, **inputs: str) -> Script:
    """The last step of the GitHub action."""
    action = yaml.safe_load((repository / "ci/github/action.yml").read_text())
    given = {name: str(one.get("default", "")) for name, one in action["inputs"].items()}
    given |= {"namespace": namespace, "base": base, "head": head, "comment-token": "", **inputs}
    step = next(one for one in action["runs"]["steps"] if "voice push" in one.get("run", ""))
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
    return Script(shell, step["run"], variables | {"GITHUB_STEP_SUMMARY": "voices.md"})


def jenkins(repository: Path, **options: str) -> Script:
    """The shell line of the Jenkins step, with the settings that it makes of its options."""
    text = (repository / "ci/jenkins/vars/voicePush.groovy").read_text()
    settings = {}
    for name, option, default, yes, no in _SETTING.findall(text):
        value = options.get(option, "")
        settings[name] = (yes if value else no) if yes or no else (value or default)
    (line,) = re.findall(r"sh '(voice push [^']*)'", text)
    return Script(("sh", "-xe"), line, settings)


@dataclass
class Runner:
    """Runs scripts in a checkout."""

    checkout: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.checkout / ".git" / "info").mkdir(exist_ok=True)
        (self.checkout / ".git" / "info" / "exclude").write_text("voices.md\nvoices-reports\n")
        programs = self.checkout.parent / "bin"
        programs.mkdir(exist_ok=True)
        program = programs / "voice"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m voice_cli "$@"\n')
        program.chmod(0o755)
        self.variables["PATH"] = f"{programs}:{os.environ['PATH']}"

    def run(self, script: Script, **more: Any) -> Ran:
        """Run a script to its end."""
        started, summary = time.monotonic(), self.checkout / "voices.md"
        summary.unlink(missing_ok=True)
        done = subprocess.run(
            [*script.shell, "-c", script.text],
            cwd=self.checkout,
            env={**os.environ, **self.variables, **script.variables, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        written = summary.read_text() if summary.exists() else ""
        return Ran(done.returncode, time.monotonic() - started, done.stdout, written)
