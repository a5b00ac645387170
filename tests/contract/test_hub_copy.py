"""The Job that copies a voice to the Hub, run as its pod runs it: the trainer against a Hub on this machine."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.test_documents import SETTINGS, voice
from tests.support.hub import TOKEN, Hub, a_hub

from voice_operator.manifests.copy_job import TOKEN_FOLDER, copy_config_map, copy_job, copy_secret
from voice_operator.manifests.session_policy import session_policy
from voice_operator.reconcile.effects import CopyToHub, WithdrawFromHub
from voice_operator.reconcile.observed import ObservedRevision
from voice_operator.settings import Settings
from voice_trainer.__main__ import main, parser

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
ALLOWED = SETTINGS.model_copy(
    update={"hub": SETTINGS.hub.model_copy(update={"token_secret": "voice-hub", "endpoint": "http://hub.example"})}
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # the test session imported it before
    with a_hub() as served:
        yield served


def a_copy(digest: str, *, public: bool = False) -> CopyToHub:
    revision = ObservedRevision("alice-9d01b7e4", "9d01b7e4" * 8, "tiny", "s3://elsewhere", digest)
    return CopyToHub("alice-9d01b7e4-copy-01234567", revision, "studio/alice", public)


def container(copy: CopyToHub, settings: Settings = ALLOWED) -> dict[str, Any]:
    found: dict[str, Any] = copy_job(voice(), copy, settings)["spec"]["template"]["spec"]["containers"][0]
    return found


def a_bundle(folder: Path) -> str:
    """Write a bundle; return its digest."""
    document = {
        "voice": {"namespace": "studio", "name": "alice"}, "revision": "alice-9d01b7e4", "inputHash": "9d01b7e4" * 8,
        "language": "en", "base": {"name": "tiny", "digest": "sha256:0"}, "adapter": {"sha256": "0", "rank": 8},
        "scores": {"stoi": "0.7"}, "consent": {"statement": "I agree."}, "source": {}, "createdAt": "2026-11-23",
    }  # fmt: skip
    folder.mkdir()
    (folder / "voice.json").write_text(json.dumps(document))
    data = (folder / "voice.json").read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": "r", "files": {"voice.json": entry}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return "sha256:" + hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def test_the_pods_command_copies_what_is_served_into_a_private_repository(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = a_bundle(tmp_path / "bundle")
    pod = container(a_copy(digest))
    environment = {one["name"]: one["value"] for one in pod["env"]}
    assert environment["HF_TOKEN_PATH"] == f"{TOKEN_FOLDER}/token"
    assert environment["HF_ENDPOINT"] == "http://hub.example"
    options = parser().parse_args(pod["args"])
    assert options.bundle == "s3://voices/studio/alice/revisions/alice-9d01b7e4", "by its name, not by what a spec says"
    assert (options.target, options.digest, options.public) == ("hf://studio/alice", digest, False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    here = [word.replace(options.bundle, (tmp_path / "bundle").as_uri()) for word in pod["args"]]
    assert main([*here, "--endpoint", hub.endpoint]) == 0
    repository = hub.repositories["studio/alice"]
    assert repository.private
    assert {"voice.json", "manifest.json", "README.md"} <= repository.files.keys()


def test_another_bundle_at_the_same_address_is_not_copied(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_bundle(tmp_path / "bundle")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(tmp_path / "log"))
    uri, expected = (tmp_path / "bundle").as_uri(), "sha256:" + "0" * 64
    assert main(["copy", uri, "hf://studio/alice", "--digest", expected, "--endpoint", hub.endpoint]) == 65
    assert json.loads((tmp_path / "log").read_bytes())["reason"] == "OtherBundle"
    assert hub.requests == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_withdrawal_has_the_token_and_no_keys_of_the_store(
    deleted: bool, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = WithdrawFromHub("alice-withdraw-01234567", "studio/alice", deleted=deleted)
    pod = copy_job(voice(), effect, ALLOWED)["spec"]["template"]["spec"]
    assert {one["name"] for one in pod["volumes"]} == {"files", "hub-token", "work", "tmp"}
    environment = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert (environment["HF_ENDPOINT"], environment["HF_TOKEN_PATH"]) == ("http://hub.example", f"{TOKEN_FOLDER}/token")
    assert not [name for name in environment if name.startswith("AWS_") or "S3" in name]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    uri = (tmp_path / "bundle").as_uri()
    a_bundle(tmp_path / "bundle")
    assert main(["copy", uri, "hf://studio/alice", "--endpoint", hub.endpoint]) == 0
    assert main([*pod["containers"][0]["args"], "--endpoint", hub.endpoint]) == 0
    left = hub.repositories["studio/alice"].files
    assert left.keys() == {"README.md", ".gitattributes"}
    assert (b"was deleted" in left["README.md"]) is deleted


def test_the_token_is_the_installations_secret_and_public_is_asked_for() -> None:
    job = copy_job(voice(), a_copy("sha256:0", public=True), ALLOWED)
    volumes = {one["name"]: one for one in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["hub-token"]["secret"]["secretName"] == "voice-hub"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "--public"
    assert job["metadata"]["ownerReferences"][0]["uid"] == "a-uid"
    assert "voice.sovits.dev/stage" not in job["metadata"]["labels"], "no stage: decisions about those do not see it"


def test_keys_of_its_own_read_the_voices_folder_and_write_nothing() -> None:
    policy = json.loads(session_policy(voice(), None, ALLOWED, "eu-central-1"))
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert actions == {"s3:GetObject", "s3:ListBucket"}
    assert "bases" not in json.dumps(policy)
    storage = ALLOWED.storage
    session = storage.session_keys.model_copy(update={"enabled": True})
    settings = ALLOWED.model_copy(update={"storage": storage.model_copy(update={"session_keys": session})})
    copy = a_copy("sha256:0")
    pod = copy_job(voice(), copy, settings)["spec"]["template"]["spec"]
    mounted = {one["name"]: one.get("secret", {}).get("secretName") for one in pod["volumes"]}
    assert mounted["keys"] == copy_secret(voice(), copy, {"x": "y"})["metadata"]["name"]
    assert mounted["hub-token"] == "voice-hub"
    assert copy_config_map(voice(), copy, settings)["metadata"]["name"] == copy.name


def test_a_copy_is_of_no_other_voice() -> None:
    other = replace(voice(), name="bob")
    assert (
        container(a_copy("sha256:0"))["args"][1]
        != copy_job(other, a_copy("sha256:0"), ALLOWED)["spec"]["template"]["spec"]["containers"][0]["args"][1]
    )
