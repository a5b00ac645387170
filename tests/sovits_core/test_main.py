"""The command `sovits-core` answers, and refuses in one sentence."""

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
    ],
)
def test_wrong_input_is_answered_with_its_reason(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == USAGE_ERROR
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
