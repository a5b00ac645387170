"""`voice-trainer withdraw` with the real client against a Hub on this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.hub import Hub, Repository
from tests.trainer.hub.conftest import NAME, TARGET, failure, write_bundle

from voice_trainer.__main__ import main
from voice_trainer.hub.withdrawing import CARDS

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
LEFT = {".gitattributes", "README.md"}


@pytest.fixture
def withdraw(copy: Callable[..., int], hub: Hub) -> Callable[..., int]:
    return lambda target=TARGET, *options: main(["withdraw", target, *options, "--endpoint", hub.endpoint])


def test_nothing_of_a_copy_is_left_but_a_card_that_says_so(
    copy: Callable[..., int],
    withdraw: Callable[..., int],
    hub: Hub,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert copy() == 0
    write_bundle(bundle, revision="alice-9d01b7e4")
    assert copy() == 0
    repository = hub.repositories[NAME]
    assert (len(repository.commits), len(repository.large) > 0) == (2, True)
    capsys.readouterr()
    assert withdraw() == 0
    assert capsys.readouterr().out == f"{TARGET} is withdrawn\n"
    assert (repository.files.keys(), repository.files["README.md"]) == (LEFT, CARDS["revoked"])
    assert (len(repository.commits), repository.large, hub.objects) == (1, {}, {})
    assert withdraw() == 0
    assert repository.files.keys() == LEFT
    assert withdraw(TARGET, "--cause", "deleted") == 0
    assert (repository.files["README.md"], len(repository.commits)) == (CARDS["deleted"], 1)
    assert b"The voice was deleted" in CARDS["deleted"]


@pytest.mark.parametrize("path", ["/commit/", "/super-squash/", "/lfs-files$", "/lfs-files/batch"])
def test_what_fails_half_way_is_gone_on_with(
    copy: Callable[..., int], withdraw: Callable[..., int], hub: Hub, tmp_path: Path, path: str
) -> None:
    assert copy() == 0
    hub.fail[path] = (418, 1)  # which the client does not try again by itself
    assert withdraw() == 75
    assert failure(tmp_path)["reason"] == "HubUnavailable"
    assert withdraw() == 0
    repository = hub.repositories[NAME]
    assert (repository.files.keys(), len(repository.commits), repository.large) == (LEFT, 1, {})


def test_a_repository_of_something_else_keeps_everything(
    withdraw: Callable[..., int], hub: Hub, tmp_path: Path
) -> None:
    hub.repositories[NAME] = Repository(private=True, files={"thesis.pdf": b"%PDF"})
    assert withdraw() == 78
    assert failure(tmp_path)["reason"] == "NoCopy"
    assert "delete by hand" in failure(tmp_path)["message"]
    assert hub.repositories[NAME].files == {"thesis.pdf": b"%PDF"}


def test_what_is_not_there_need_not_go(
    withdraw: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert withdraw() == 0
    assert capsys.readouterr().out == f"{TARGET} is not there\n"
    assert withdraw("hf://alice") == 64


def test_a_token_that_is_none_withdraws_nothing(
    copy: Callable[..., int], withdraw: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copy() == 0
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert withdraw() == 78
    assert failure(tmp_path)["reason"] == "HubRefused"
