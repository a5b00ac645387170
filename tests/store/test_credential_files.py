"""Keys as files: read from a mounted Secret, renewed when it changes, named in every error."""

import os
from pathlib import Path

import pytest

from voice_store import AccessDenied, Misconfigured, S3Settings, open_store

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
OBJECT = "s3://voices/keys"


def mount(folder: Path, files: dict[str, str], version: str = "1") -> Path:
    """Write files as the kubelet mounts a Secret: links through `..data`, which is replaced at once."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, content in files.items():
        (data / name).write_text(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    link = folder / "..new"
    link.symlink_to(data.name)
    link.rename(folder / "..data")
    return folder


@pytest.fixture
def keys(plain: dict[str, str]) -> dict[str, str]:
    return {name: plain[name] for name in NAMES if name in plain}


@pytest.fixture
def elsewhere(plain: dict[str, str]) -> dict[str, str]:
    """The variables that lead to a real server, without the keys."""
    return {name: value for name, value in plain.items() if name not in NAMES}


def test_keys_come_from_the_folder_and_a_line_end_is_none_of_them(
    tmp_path: Path, keys: dict[str, str], elsewhere: dict[str, str]
) -> None:
    folder = mount(tmp_path / "keys", {name: f"{value}\n" for name, value in keys.items()})
    store = open_store(OBJECT, elsewhere | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    store.write("a", b"1")
    assert store.read("a") == b"1"


def test_rotated_keys_are_used_without_a_restart(
    tmp_path: Path, keys: dict[str, str], elsewhere: dict[str, str]
) -> None:
    folder = mount(tmp_path / "keys", {"AWS_ACCESS_KEY_ID": "revoked", "AWS_SECRET_ACCESS_KEY": "revoked"})
    store = open_store(OBJECT, elsewhere | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    with pytest.raises(AccessDenied):
        store.write("b", b"1")
    mount(folder, keys, version="2")
    store.write("b", b"1")
    mount(folder, {"AWS_ACCESS_KEY_ID": "revoked", "AWS_SECRET_ACCESS_KEY": "revoked"}, version="3")
    with pytest.raises(AccessDenied):
        store.read("b")


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_keys_is_named(tmp_path: Path, elsewhere: dict[str, str], missing: str) -> None:
    files = {name: "x" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name != missing}
    folder = mount(tmp_path / "keys", files)
    store = open_store(OBJECT, elsewhere | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    with pytest.raises(Misconfigured, match=f"{folder}/{missing} is missing or empty; the Secret"):
        store.exists("a")


def test_a_file_of_more_than_a_line_is_named_and_not_shown(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    folder = mount(tmp_path / "keys", {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "hun\nter2"})
    store = open_store(OBJECT, elsewhere | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    with pytest.raises(Misconfigured, match=f"{folder.name}.*/AWS_SECRET_ACCESS_KEY must hold one line") as caught:
        store.exists("a")
    assert "ter2" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    folder = tmp_path / "keys"
    (folder / "AWS_ACCESS_KEY_ID").mkdir(parents=True)
    store = open_store(OBJECT, elsewhere | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    with pytest.raises(Misconfigured, match="AWS_ACCESS_KEY_ID cannot be read: Is a directory"):
        store.exists("a")


def test_a_folder_that_is_not_mounted_is_named() -> None:
    with pytest.raises(Misconfigured, match="VOICE_S3_CREDENTIALS_DIR is '/nowhere', which is no folder"):
        S3Settings.from_environment({"VOICE_S3_CREDENTIALS_DIR": "/nowhere"})


def test_variables_come_before_the_folder(tmp_path: Path, plain: dict[str, str]) -> None:
    folder = mount(tmp_path / "keys", {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"})
    open_store(OBJECT, plain | {"VOICE_S3_CREDENTIALS_DIR": str(folder)}).write("c", b"1")


@pytest.mark.parametrize(
    ("given", "region"),
    [
        pytest.param({}, "eu-west-3", id="the Secret's"),
        pytest.param({"AWS_REGION": ""}, "eu-west-3", id="the Secret's where the variable is empty"),
        pytest.param({"AWS_REGION": "eu-central-1"}, "eu-central-1", id="the variable's"),
    ],
)
def test_a_secret_may_say_the_region(tmp_path: Path, given: dict[str, str], region: str) -> None:
    folder = mount(tmp_path / "keys", {"AWS_REGION": "eu-west-3\n"})
    settings = S3Settings.from_environment(given | {"VOICE_S3_CREDENTIALS_DIR": str(folder)})
    assert settings.region == region


def test_a_secret_without_keys_leaves_them_to_the_next_source(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    folder = mount(tmp_path / "keys", {"AWS_REGION": "us-east-1"})
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = x\n")
    environment = {"VOICE_S3_CREDENTIALS_DIR": str(folder), "AWS_SHARED_CREDENTIALS_FILE": os.fspath(profile)}
    with pytest.raises(Misconfigured, match="the profile 'default'"):
        open_store(OBJECT, elsewhere | environment).exists("a")
