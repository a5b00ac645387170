"""`voice-trainer copy` with the real client against a Hub on this machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.support.hub import TOKEN, Hub
from tests.trainer.hub.conftest import NAME, TARGET, VOICE, failure, files_of, write_bundle

from voice_trainer.__main__ import main
from voice_trainer.hub.card import model_card

# The Hub's client calls its own transport in a way that is to be given up; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_a_bundle_is_copied_whole_with_one_commit_into_a_private_repository(
    copy: Callable[..., int], hub: Hub, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy() == 0
    repository = hub.repositories[NAME]
    assert repository.private
    assert len(repository.commits) == 1
    held = {name: data for name, data in repository.files.items() if name not in {"README.md", ".gitattributes"}}
    assert held == files_of(bundle)
    assert capsys.readouterr().out.startswith(f"{TARGET} ")
    assert copy("--public") == 0
    assert repository.private, "a repository that is there stays as it is"


def test_the_same_bundle_again_is_no_commit(
    copy: Callable[..., int], hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy() == 0
    before = dict(hub.repositories[NAME].files)
    capsys.readouterr()
    assert copy() == 0
    assert hub.repositories[NAME].files == before
    assert len(hub.repositories[NAME].commits) == 1
    assert capsys.readouterr().out == f"{TARGET} held this already\n"


def test_another_revision_replaces_all_that_was_there(copy: Callable[..., int], hub: Hub, bundle: Path) -> None:
    assert copy() == 0
    hub.repositories[NAME].files["samples/old.flac"] = b"old"
    write_bundle(bundle, revision="alice-9d01b7e4")
    assert copy() == 0
    repository = hub.repositories[NAME]
    assert len(repository.commits) == 2
    assert repository.files.keys() == {*files_of(bundle), "README.md", ".gitattributes"}
    assert b"alice-9d01b7e4" in repository.files["README.md"]


def test_the_card_says_what_the_voice_is_made_from_and_is_no_markup_of_others(
    copy: Callable[..., int], hub: Hub
) -> None:
    assert copy("--public") == 0
    repository = hub.repositories[NAME]
    assert not repository.private
    _, head, text = repository.files["README.md"].decode().split("---\n", 2)
    found = yaml.safe_load(head)
    assert (found["language"], found["license"], found["pipeline_tag"]) == (["en"], "other", "text-to-speech")
    metrics = found["model-index"][0]["results"][0]["metrics"]
    assert {one["type"]: one["value"] for one in metrics} == {"pesq": 1.119, "stoi": 0.733}
    for said in ("tiny", "sha256:" + "b" * 64, "s3://e/a", "3f2a", "I agree \\| &lt;b>\\[to this](x)"):
        assert said in text
    assert "Alice A." not in text, "the holder's name is not told: it is in the bundle for those who may read that"
    assert model_card(VOICE, "sha256:1") == model_card(json.loads(json.dumps(VOICE)), "sha256:1")


@pytest.mark.parametrize("target", ["s3://bucket/name", "hf://alice", "hf://a/b/c", "hf://../b", "hf://a/b?x"])
def test_a_target_that_is_none_is_told(copy: Callable[..., int], hub: Hub, tmp_path: Path, target: str) -> None:
    assert copy(target=target) == 64
    assert failure(tmp_path)["reason"] == "InvalidHubUri"
    assert hub.requests == []


def test_a_bundle_that_is_not_whole_is_not_copied(
    copy: Callable[..., int], hub: Hub, bundle: Path, tmp_path: Path
) -> None:
    (bundle / "adapter_config.json").write_bytes(b"[]")
    assert copy() == 65
    assert failure(tmp_path)["reason"] == "InvalidBundle"
    (bundle / "manifest.json").unlink()
    assert copy() == 65
    assert "is no published voice" in failure(tmp_path)["message"]
    write_bundle(bundle, scores=None)
    assert copy() == 65
    write_bundle(bundle, consent={"revoked": True})
    assert copy() == 65
    assert failure(tmp_path)["reason"] == "ConsentRevoked"
    assert hub.requests == []


def test_a_token_that_may_not_write_is_told_with_the_remedy(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert copy() == 78
    assert failure(tmp_path)["reason"] == "HubRefused"
    assert "HF_TOKEN_PATH" in failure(tmp_path)["message"]


def test_a_token_may_be_a_secrets_file(
    copy: Callable[..., int], hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert copy() == 0
    assert hub.repositories[NAME].commits


@pytest.mark.parametrize("path", ["/commit/", "/preupload/", "/batch", "/tree/"])
def test_a_hub_that_fails_leaves_nothing_half_done_and_the_next_copy_is_whole(
    copy: Callable[..., int], hub: Hub, bundle: Path, tmp_path: Path, path: str
) -> None:
    hub.fail[path] = (418, 1)  # which the client does not try again by itself
    assert copy() == 75
    assert failure(tmp_path)["reason"] == "HubUnavailable"
    assert hub.repositories[NAME].files.keys() == {".gitattributes"}
    assert copy() == 0
    assert len(hub.repositories[NAME].commits) == 1
    assert files_of(bundle).items() <= hub.repositories[NAME].files.items()


def test_a_hub_that_is_not_there_is_told(copy: Callable[..., int], bundle: Path, tmp_path: Path) -> None:
    assert main(["copy", str(bundle), TARGET, "--endpoint", "http://127.0.0.1:9"]) == 75
    assert failure(tmp_path)["reason"] == "HubUnavailable"
