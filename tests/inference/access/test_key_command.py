"""``voice-inference key new``: the printed entry lets the printed key in, and the key is nowhere else."""

import json
import re
from datetime import date

import pytest

from voice_inference.__main__ import main
from voice_inference.access.api_keys import KeyEntry, KeyRing


def test_the_entry_is_of_the_key_that_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--voices", "studio/*", "team/bob", "--expires", "2027-11-01", "--characters-per-day", "0"]
    assert main(["key", "new", "--id", "app", *flags]) == 0
    shown = capsys.readouterr()
    key = shown.err.splitlines()[-1]
    entry = KeyEntry.model_validate_json(shown.out)
    assert key.startswith("vo_")
    assert len(key) == 46
    assert key not in shown.out
    assert KeyRing((entry,)).find(key, date(2027, 11, 1)) == entry
    assert json.loads(shown.out).keys() == {"id", "sha256", "voices", "expires", "charactersPerDay"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--id", "My App", "--voices", "studio/*"], "--id is 'My App'"),
        (["--id", "app", "--voices", "studio"], "--voices is 'studio': .*names no voices; write namespace/name"),
        (["--id", "app", "--voices", "*/*", "--expires", "soon"], "--expires is 'soon'; write a day"),
        (["--id", "app", "--voices", "*/*", "--concurrency", "-1"], "--concurrency is -1"),
    ],
)
def test_a_wrong_flag_is_named(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "new", *flags]) == 64
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(message, said)
