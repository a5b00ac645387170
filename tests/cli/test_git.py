"""What git says of a folder: commits, authors, changes, and what it cannot say."""

import shutil

import pytest
from tests.cli.conftest import Checkout, make_folder

from voice_cli.errors import NotFound, UsageError
from voice_cli.git import Changes, Origin, Repository
from voice_cli.versions import Version, revision_for

ZEROS = "0" * 40


def version(name: str, commit: str) -> Version:
    return Version(name, "Superseded", "", commit, "", "", "", {})


ALICE = {"metadata": {"name": "alice"}}


@pytest.fixture
def repository(checkout: Checkout) -> Repository:
    found = Repository.around(checkout.path)
    assert found is not None
    return found


def test_a_folder_has_the_newest_commit_that_changed_it(checkout: Checkout, repository: Repository) -> None:
    alice = make_folder(checkout.voices / "alice")
    first = checkout.commit("alice")
    make_folder(checkout.voices / "bob")
    checkout.commit("bob")
    expected = Origin("https://git.example.org/voices.git", first, "Eve Editor <eve@example.org>")
    assert repository.origin_of(alice) == expected
    (alice / "metadata.csv").write_text("changed")
    assert repository.origin_of(alice).source() == {"repository": "https://git.example.org/voices.git"}


def test_a_range_names_folders_that_changed_and_that_are_gone(checkout: Checkout, repository: Repository) -> None:
    for name in ("alice", "bob", "carol"):
        make_folder(checkout.voices / name)
    (checkout.path / "README.md").write_text("no voice")
    (checkout.voices / "notes.txt").write_text("no voice either")
    base = checkout.commit("three")
    (checkout.voices / "alice" / "metadata.csv").write_text("x")
    shutil.rmtree(checkout.voices / "bob")
    head = checkout.commit("alice changes, bob goes")
    assert repository.changes(f"{base}..{head}", checkout.voices) == Changes(("alice",), ("bob",))
    assert repository.changes(f"{ZEROS}..{head}", checkout.voices) == Changes(("alice", "carol"), ())
    assert repository.changes(f"{head}..{head}", checkout.voices) == Changes((), ())


def test_what_changed_and_changed_back_is_named_too(checkout: Checkout, repository: Repository) -> None:
    """A run failed on the commit between, after it had pushed a part."""
    alice = make_folder(checkout.voices / "alice")
    base = checkout.commit("alice")
    (alice / "metadata.csv").write_text("x")
    make_folder(checkout.voices / "dan é")
    checkout.commit("alice changes, dan comes")
    checkout.git("revert", "--no-edit", "HEAD")
    assert repository.changes(f"{base}..HEAD", checkout.voices) == Changes(("alice",), ("dan é",))


def test_a_revert_means_the_revision_that_it_leads_back_to(checkout: Checkout, repository: Repository) -> None:
    alice = make_folder(checkout.voices / "alice")
    first = checkout.commit("alice")
    (alice / "metadata.csv").write_text("x")
    second = checkout.commit("alice changes")
    checkout.git("revert", "--no-edit", "HEAD")
    (checkout.path / "README.md").write_text("no voice")
    checkout.commit("something else")
    versions = [version("alice-2", second), version("alice-1", first)]
    assert revision_for(versions, "HEAD", ALICE, repository).revision == "alice-1"
    assert revision_for(versions, "HEAD~1", ALICE, repository).revision == "alice-1"
    (alice / "metadata.csv").write_text("y")
    checkout.commit("a third one, not trained yet")
    with pytest.raises(NotFound, match="there are: alice-2"):
        revision_for(versions, "HEAD", ALICE, repository)


@pytest.mark.parametrize("span", ["HEAD", "..HEAD", "HEAD..", "HEAD...HEAD"])
def test_what_is_no_range_is_refused(checkout: Checkout, repository: Repository, span: str) -> None:
    checkout.voices.mkdir()
    with pytest.raises(UsageError, match=r"BASE\.\.HEAD"):
        repository.changes(span, checkout.voices)


@pytest.mark.parametrize("base", ["abcdef12", "--output=x"])
def test_a_commit_that_is_not_here_says_how_to_fetch_it(checkout: Checkout, repository: Repository, base: str) -> None:
    make_folder(checkout.voices / "alice")
    checkout.commit("alice")
    with pytest.raises(NotFound, match="fetch-depth"):
        repository.changes(f"{base}..HEAD", checkout.voices)


def test_a_commit_that_trained_nothing_means_its_nearest_ancestor(checkout: Checkout, repository: Repository) -> None:
    commits = []
    for number in range(4):
        (checkout.path / "file").write_text(str(number))
        commits.append(checkout.commit(f"number {number}"))
    versions = [version("alice-2", commits[2]), version("alice-0", commits[0])]
    found = {
        target: revision_for(versions, target, ALICE, repository).revision for target in (*commits, "HEAD", "alice-0")
    }
    assert found == {
        commits[0]: "alice-0",
        commits[1]: "alice-0",
        commits[2]: "alice-2",
        commits[3]: "alice-2",
        "HEAD": "alice-2",
        "alice-0": "alice-0",
    }
    assert revision_for(versions, "", ALICE | {"status": {"previousRevision": "alice-0"}}, None).revision == "alice-0"


def test_a_target_that_means_nothing_names_what_there_is() -> None:
    versions = [version("alice-2", "abc123"), version("alice-1", "abc456")]
    with pytest.raises(NotFound, match=r"there are: alice-2 \(abc123\), alice-1 \(abc456\)"):
        revision_for(versions, "fff0", ALICE, None)
    with pytest.raises(UsageError, match="begins several commits"):
        revision_for(versions, "abc", ALICE, None)
