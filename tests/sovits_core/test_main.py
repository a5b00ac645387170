"""The command `sovits-core` answers, and refuses in one sentence."""

from pathlib import Path

import pytest

from sovits_core.__main__ import USAGE_ERROR, main


def test_phones_prints_the_ids_of_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "Hello world."]) == 0
    assert capsys.readouterr().out == "51 12 62 68 91 39 62 26 3\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["phones", ""], "the text is empty"),
        (["phones", "hello", "--language", "xx"], "language 'xx' is not offered"),
        (["phones", "hello", "--symbols", "v9"], "symbol table 'v9' is not known"),
        (
            ["verify", "--s1", "/no/s1", "--s2", "/no/s2", "--inputs", "/no/in.npz", "--out", "/no/such/out.npz"],
            "/no/such/out.npz cannot be written: name a file in a folder that exists",
        ),
        (["pretrain", "--out", "x", "--config", "/no/such.json"], "configuration /no/such.json cannot be read"),
        (["pretrain", "--out", "x", "--recordings", "/no/such"], "no folder /no/such for --recordings"),
        (["pretrain", "--out", "x", "--minutes", "0"], "minutes=0.0 must be above zero"),
    ],
)
def test_wrong_input_is_answered_with_its_reason(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == USAGE_ERROR
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_wrong_configuration_is_refused_with_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        '{"shares": {"encoder": 0.9, "prior": 0.1, "detail": 0.1, "bands": 0.3, "sound": 0.1, "semantic": 0.1}}'
    )
    assert main(["pretrain", "--out", str(tmp_path / "base"), "--config", str(config)]) == USAGE_ERROR
    assert "shares: Value error, the shares add up to 1.6 and must make 1" in capsys.readouterr().err
