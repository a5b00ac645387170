"""Pipelines and actions are what GitLab and GitHub accept, by the schemas that check-jsonschema carries."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml


def checked(kind: str, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Compare a file with a schema; nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def gitlab_jobs(repository: Path, tmp_path: Path) -> Path:
    """The component as GitLab has it after its inputs, header and jobs in one document."""
    text = (repository / "ci" / "gitlab" / "voices.yml").read_text()
    header, _ = yaml.safe_load_all(text)
    jobs = text.partition("---\n")[2]
    for name, one in header["spec"]["inputs"].items():
        jobs = jobs.replace(f"$[[ inputs.{name} ]]", str(one.get("default", "studio")))
    file = tmp_path / "gitlab.yml"
    file.write_text(yaml.safe_dump(header | yaml.safe_load(jobs)))
    return file


def test_gitlab_accepts_the_jobs_and_the_inputs(gitlab_jobs: Path) -> None:
    done = checked("gitlab-ci", gitlab_jobs, "--data-transform", "gitlab-ci")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "voices.yml"),
        ("github-workflows", "voices-erase.yml"),
    ],
)
def test_github_accepts_the_action_and_the_workflows(repository: Path, kind: str, name: str) -> None:
    done = checked(kind, repository / "ci" / "github" / name)
    assert done.returncode == 0, done.stdout


def test_a_job_that_gitlab_would_refuse_is_found(gitlab_jobs: Path) -> None:
    gitlab_jobs.write_text(gitlab_jobs.read_text().replace("when: manual", "when: sometimes"))
    done = checked("gitlab-ci", gitlab_jobs, "--data-transform", "gitlab-ci")
    assert (done.returncode, "sometimes" in done.stdout) == (1, True)


def test_an_action_that_github_would_refuse_is_found(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "action.yml"
    action = (repository / "ci" / "github" / "action.yml").read_text()
    file.write_text(action.replace("using: composite", "using: magic"))
    assert checked("github-actions", file).returncode == 1
