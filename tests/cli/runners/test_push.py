"""Pushes by the forges' runners: two voices at once, changed recordings, broken ones, a revert, a deleted folder."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Checkout, make_folder
from tests.cli.pipelines import Ran
from tests.cli.runners.forge import Forge
from tests.cli.runners.github import GitHub
from tests.cli.runners.gitlab import GitLab
from tests.cli.runners.jenkins import Jenkins
from tests.cli.studio import jobs_of, revisions_of
from tests.faults.lab import Lab

pytestmark = [pytest.mark.forges, pytest.mark.cluster, pytest.mark.slow]

HOLLOW = "wavs/ has no recordings; put one file for each line of metadata.csv there"
KINDS = ("gitlab", "github", "jenkins")


@pytest.mark.parametrize("kind", KINDS)
def test_pushes_make_voices_change_one_refuse_one_and_lead_back(
    kind: str, make_forge: Callable[[str], Forge], checkout: Checkout, lab: Lab, repository: Path
) -> None:
    forge, figures = make_forge(kind), dict[str, float]()
    commits, loudness = [checkout.git("rev-parse", "HEAD")], 20 * KINDS.index(kind)
    one, two, broken = (f"{kind}-{name}" for name in ("one", "two", "broken"))

    def push(what: str) -> Ran:
        if checkout.git("status", "--porcelain"):
            checkout.commit(what)
        commits.append(checkout.git("rev-parse", "HEAD"))
        done = forge.push(commits[-2], commits[-1])
        figures[what] = round(done.seconds, 1)
        return done

    for number, name in enumerate((one, two), 1):
        make_folder(checkout.voices / name, loudness=loudness + number)
    done = push("two voices")
    assert done.code == 0, done.log
    assert done.summary.startswith("### Voices: 2 Ready\n"), done.summary
    assert f"{one}: Ready: 9 files sent, 0 were there" in done.log
    first, jobs = revisions_of(lab), jobs_of(lab)
    assert {lab.client.find("voicemodels", name)["spec"]["source"]["commit"] for name in (one, two)} == {commits[-1]}

    shutil.rmtree(checkout.voices / one)
    make_folder(checkout.voices / one, loudness=loudness + 3)
    done = push("changed recordings")
    assert done.summary.startswith("### Voices: 1 Ready\n"), done.log
    second, more_jobs = revisions_of(lab), jobs_of(lab)
    assert (second[one] != first[one], second[two]) == (True, first[two])
    assert (more_jobs[one] > jobs[one], more_jobs[two]) == (True, jobs[two])

    checkout.git("revert", "--no-edit", "HEAD")
    done = push("git revert")
    assert f"{one}: Ready: 0 files sent, 9 were there" in done.log
    assert (revisions_of(lab)[one], jobs_of(lab)) == (first[one], more_jobs)

    shutil.rmtree(make_folder(checkout.voices / broken) / "wavs")
    done = push("broken recordings")
    assert done.code != 0
    assert done.last_line == f"error: voices/{broken}: {HOLLOW}"
    assert not lab.client.find("voicemodels", broken)
    report(repository, kind, figures)


def report(repository: Path, kind: str, figures: dict[str, float]) -> None:
    """Print the seconds of each push and keep them."""
    sys.stdout.write(json.dumps({kind: figures}) + "\n")
    out = repository / "out" / "forges" / f"{kind}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def test_a_merge_request_is_checked_and_makes_nothing(
    make_forge: Callable[[str], Forge], checkout: Checkout, lab: Lab
) -> None:
    forge, base = make_forge("gitlab"), checkout.git("rev-parse", "HEAD")
    assert isinstance(forge, GitLab)
    make_folder(checkout.voices / "gitlab-asked", loudness=90)
    done = forge.merge_request(base, checkout.commit("somebody asks"))
    assert done.code == 0, done.log
    assert "gitlab-asked: " in done.log
    assert not lab.client.find("voicemodels", "gitlab-asked")


def test_a_pull_request_is_checked_and_makes_nothing(
    make_forge: Callable[[str], Forge], checkout: Checkout, lab: Lab
) -> None:
    forge, base = make_forge("github"), checkout.git("rev-parse", "HEAD")
    assert isinstance(forge, GitHub)
    make_folder(checkout.voices / "github-asked", loudness=91)
    done = forge.pull_request(base, checkout.commit("somebody asks"))
    assert done.code == 0, done.log
    assert "github-asked: " in done.log
    assert not lab.client.find("voicemodels", "github-asked")


def test_a_change_request_is_checked_and_makes_nothing(
    make_forge: Callable[[str], Forge], checkout: Checkout, lab: Lab
) -> None:
    forge, base = make_forge("jenkins"), checkout.git("rev-parse", "HEAD")
    assert isinstance(forge, Jenkins)
    make_folder(checkout.voices / "jenkins-asked", loudness=92)
    checkout.commit("somebody asks")
    done = forge.change_request(base)
    assert done.code == 0, done.log
    assert "jenkins-asked: " in done.log
    assert not lab.client.find("voicemodels", "jenkins-asked")


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_folder_erases_nothing_until_a_person_says_so(
    kind: str, make_forge: Callable[[str], Forge], checkout: Checkout, lab: Lab
) -> None:
    forge, name = make_forge(kind), f"{kind}-gone"
    base = checkout.git("rev-parse", "HEAD")
    make_folder(checkout.voices / name, loudness=100 + KINDS.index(kind))
    head = checkout.commit("a voice")
    assert forge.push(base, head).code == 0
    shutil.rmtree(checkout.voices / name)
    base, head = head, checkout.commit("it goes")
    done = forge.push(base, head)
    assert f"{name}: deleted: the folder is gone; the voice stays until a person decides" in done.log
    assert lab.is_ready(name)
    erased = forge.erase(base, head)
    assert erased.code == 0, erased.log
    consent = lab.client.find("voicemodels", name)["spec"]["consent"]
    assert (consent["revoked"], consent["erase"]) == (True, True)
