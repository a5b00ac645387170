"""Keys in a folder that changes as the kubelet changes a mounted Secret."""

import json
import logging
from datetime import date
from pathlib import Path

import pytest

from voice_inference.access.api_keys import MAX_KEYS, digest_of, new_key
from voice_inference.access.key_folder import KeyFolder
from voice_inference.errors import InvalidKey

TODAY = date(2027, 10, 31)


def entry(key: str, name: str = "app", **fields: object) -> str:
    return json.dumps({"id": name, "sha256": digest_of(key), "voices": ["studio/*"], **fields})


class Mounted:
    """A Secret's volume: files are links through ``..data``, which the kubelet replaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        folder.mkdir()

    def swap(self, **files: str) -> None:
        self.number += 1
        version = self.folder / f"..version-{self.number}"
        version.mkdir()
        for name, text in files.items():
            (version / f"{name}.json").write_text(text)
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").rename(self.folder / "..data")
        for link in self.folder.glob("*.json"):
            link.unlink()
        for name in files:
            (self.folder / f"{name}.json").symlink_to(f"..data/{name}.json")


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path / "keys")


def test_keys_come_change_and_go_with_the_secret(mounted: Mounted) -> None:
    first, second = new_key(), new_key()
    mounted.swap(app=entry(first))
    keys = KeyFolder(mounted.folder)
    keys.refresh()
    assert keys.ring.find(first, TODAY).id == "app"
    mounted.swap(app=entry(second))
    keys.refresh()
    assert keys.ring.find(second, TODAY).id == "app"
    with pytest.raises(InvalidKey):
        keys.ring.find(first, TODAY)
    mounted.swap()
    keys.refresh()
    with pytest.raises(InvalidKey):
        keys.ring.find(second, TODAY)


def test_a_key_ends_after_its_last_day(mounted: Mounted) -> None:
    key = new_key()
    mounted.swap(app=entry(key, expires="2027-10-31"))
    keys = KeyFolder(mounted.folder)
    keys.refresh()
    assert keys.ring.find(key, TODAY).id == "app"
    with pytest.raises(InvalidKey, match="ended on 2027-10-31"):
        keys.ring.find(key, date(2027, 11, 1))


def test_a_file_that_is_wrong_takes_no_other_key_away_and_is_never_quoted(
    mounted: Mounted, caplog: pytest.LogCaptureFixture
) -> None:
    good, broken = new_key(), new_key()
    caplog.set_level(logging.INFO)
    mounted.swap(
        good=entry(good, "good"),
        secret='{"password": "hunter2"}',
        typed=entry(broken, "typed", voices=["hunter2 "]),
        twice=entry(new_key(), "good"),
        text="hunter2",
    )
    keys = KeyFolder(mounted.folder)
    keys.refresh()
    assert [one.id for one in keys.ring.entries] == ["good"]
    assert "secret.json has no entry of a key: " in caplog.text
    assert "twice.json: the id good is used twice" in caplog.text
    assert good not in caplog.text
    assert digest_of(good) not in caplog.text
    assert "hunter2" not in caplog.text.replace("'hunter2 ' names no voices", "")
    said = len(caplog.records)
    keys.refresh()
    assert len(caplog.records) == said, "nothing is said twice"


def test_without_a_folder_there_are_no_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = KeyFolder(tmp_path / "nowhere")
    keys.refresh()
    assert keys.ring.entries == ()
    assert "there are no keys" in caplog.text


def test_a_list_of_entries_is_a_file_too_and_their_number_has_a_bound(mounted: Mounted) -> None:
    many = [json.loads(entry(f"key {number}", f"k{number}")) for number in range(MAX_KEYS + 5)]
    mounted.swap(all=json.dumps(many))
    keys = KeyFolder(mounted.folder)
    keys.refresh()
    assert len(keys.ring.entries) == MAX_KEYS
