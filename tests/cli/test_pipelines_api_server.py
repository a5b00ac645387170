"""Many folders in one repository, pushed at once by the pipelines' own scripts; `make bench-push` takes 200 of them."""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Checkout, make_folder
from tests.cli.forges import GitLab, job, running
from tests.cli.pipelines import NOTHING, Ran, Runner, github, gitlab, jenkins
from tests.cli.studio import PREFIX, a_studio, jobs_of, revisions_of
from tests.faults.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster", "bucket")]

LECTURERS = int(os.environ.get("VOICE_TEST_LECTURERS", "5"))
POLL_SECONDS = 0.5
HOLLOW = "wavs/ has no recordings; put one file for each line of metadata.csv there"


@pytest.fixture(scope="module")
def lab(
    user: object, control_plane: Path, s3: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    with a_studio(control_plane, s3, tmp_path_factory.mktemp("studio")) as installation:
        yield installation


@pytest.fixture
def runner(checkout: Checkout) -> Runner:
    return Runner(checkout.path, {"VOICE_DATASETS": PREFIX})


@contextmanager
def seconds_until(**seen: Callable[[], bool]) -> Iterator[dict[str, float]]:
    """Note in the background when each thing is first seen, in seconds from now."""
    started, found, ended = time.monotonic(), dict[str, float](), threading.Event()

    def follow() -> None:
        while not ended.wait(POLL_SECONDS):
            for name, is_there in seen.items():
                if name not in found and is_there():
                    found[name] = round(time.monotonic() - started, 1)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def test_lecturers_are_pushed_at_once_and_nothing_is_uploaded_or_trained_twice(
    lab: Lab, runner: Runner, checkout: Checkout, repository: Path, s3: tuple[int, Path]
) -> None:
    names = [f"lecturer-{number:03d}" for number in range(LECTURERS)]
    uploads = s3[1] / "voices" / "datasets" / lab.namespace
    figures: dict[str, Any] = {"voices": LECTURERS}

    def push(what: str, script: Any) -> Ran:
        done = runner.run(script)
        figures[what] = round(done.seconds, 1)
        assert done.code == 0, done.log[-2000:]
        return done

    for number, name in enumerate(names):
        make_folder(checkout.voices / name, loudness=1 + number)
    first = checkout.commit("all lecturers")
    with seconds_until(
        applied=lambda: len(lab.client.objects("voicemodels")) == LECTURERS,
        first_jobs=lambda: len(jobs_of(lab)) == LECTURERS,
    ) as seen:
        done = push("first push", gitlab(repository, "voices-push", lab.namespace, NOTHING, first))
    figures |= seen
    assert "no comment on the merge request: VOICE_COMMENT_TOKEN is not set" in done.log
    assert [f"{name}: Ready: 9 files sent, 0 were there" in done.log for name in names] == [True] * LECTURERS
    assert done.summary.count("| Ready |") == LECTURERS
    jobs, revisions, files = jobs_of(lab), revisions_of(lab), written(uploads)
    assert {name: len(found) for name, found in jobs.items()} == dict.fromkeys(names, 3)
    assert len(set(revisions.values())) == LECTURERS

    done = push("second push", github(repository, lab.namespace, NOTHING, first, datasets=PREFIX))
    assert done.summary.count("| Ready |") == LECTURERS
    assert (jobs_of(lab), revisions_of(lab), written(uploads)) == (jobs, revisions, files)

    shutil.rmtree(checkout.voices / names[0])
    make_folder(checkout.voices / names[0], loudness=LECTURERS + 1)
    second = checkout.commit("one lecturer again")
    done = push(
        "one changed folder", jenkins(repository, namespace=lab.namespace, base=first, head=second, datasets=PREFIX)
    )
    assert done.summary.count("| Ready |") == 1
    changed, more_jobs = revisions_of(lab), jobs_of(lab)
    assert {name for name in names if changed[name] != revisions[name]} == {names[0]}
    assert {name for name in names if more_jobs[name] != jobs[name]} == {names[0]}

    checkout.git("revert", "--no-edit", "HEAD")
    third = checkout.git("rev-parse", "HEAD")
    done = push("git revert", gitlab(repository, "voices-push", lab.namespace, second, third))
    assert f"{names[0]}: Ready: 0 files sent, 9 were there" in done.log
    assert (revisions_of(lab), jobs_of(lab)) == (revisions, more_jobs)
    report(repository, figures)


def written(folder: Path) -> dict[str, int]:
    """When each object of a bucket was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def report(repository: Path, figures: dict[str, Any]) -> None:
    """Print the figures; those of a benchmark are kept."""
    sys.stdout.write(json.dumps(figures) + "\n")
    if "VOICE_TEST_LECTURERS" in os.environ:
        out = repository / "out" / "bench" / "push.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def test_a_merge_request_has_the_reason_and_so_has_the_jobs_last_line(
    lab: Lab, runner: Runner, checkout: Checkout, repository: Path
) -> None:
    (checkout.path / "readme").write_text("voices")
    base = checkout.commit("nothing yet")
    make_folder(checkout.voices / "good", loudness=230)
    shutil.rmtree(make_folder(checkout.voices / "hollow", loudness=231) / "wavs")
    head = checkout.commit("a good one and a hollow one")
    with running(GitLab) as forge:
        script = gitlab(repository, "voices-check", lab.namespace, base, head)
        given = job(forge, CI_MERGE_REQUEST_IID="5", CI_MERGE_REQUEST_DIFF_BASE_SHA=base, CI_COMMIT_SHA=head)
        checked = runner.run(script, **given)
        make_folder(checkout.path / "again" / "hollow", loudness=231)
        shutil.copytree(checkout.path / "again" / "hollow" / "wavs", checkout.voices / "hollow" / "wavs")
        head = checkout.commit("the hollow one is whole")
        script = gitlab(repository, "voices-push", lab.namespace, base, head)
        pushed = runner.run(script, **given, CI_JOB_URL="https://git.example.org/v/-/jobs/9")
    assert (checked.code, checked.last_line) == (3, f"error: voices/hollow: {HOLLOW}")
    assert pushed.code == 0, pushed.log
    (only,) = forge.comments
    assert only["body"] == f"<!-- voice-operator {lab.namespace} -->\n{pushed.summary}"
    assert pushed.summary.startswith("### Voices: 2 Ready\n")
    assert "pesq 3.9" not in checked.summary
    assert "| PESQ 3.9, STOI 0.91 |" in pushed.summary
    assert forge.requests.count("PUT /api/v4/projects/42/merge_requests/5/notes/100") == 1


@pytest.mark.parametrize("pipeline", ["GitHub", "Jenkins"])
def test_the_last_line_of_a_failed_job_is_the_reason(
    lab: Lab, runner: Runner, checkout: Checkout, repository: Path, pipeline: str
) -> None:
    shutil.rmtree(make_folder(checkout.voices / "hollow") / "wavs")
    head = checkout.commit("a hollow one")
    if pipeline == "GitHub":
        script = github(repository, lab.namespace, NOTHING, head, **{"dry-run": "true", "datasets": PREFIX})
    else:
        script = jenkins(repository, namespace=lab.namespace, base=NOTHING, head=head, datasets=PREFIX, dryRun="true")
    done = runner.run(script)
    assert (done.code, done.last_line) == (3, f"error: voices/hollow: {HOLLOW}")
    assert done.summary.startswith("### Voices: 1 refused\n")
