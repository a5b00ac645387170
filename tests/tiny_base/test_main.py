"""The command `python -m tiny_base` refuses in one sentence."""

from pathlib import Path

import pytest

from tiny_base.__main__ import USAGE_ERROR, main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x", "--config", "/no/such.json"], "configuration /no/such.json cannot be read"),
        (["--out", "x", "--recordings", "/no/such"], "no folder /no/such for --recordings"),
        (["--out", "x", "--minutes", "0"], "minutes=0.0 must be above zero"),
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
        '{"shares": {"encoder": 0.9, "prior": 0.1, "adversarialRefinement": 0.1, "subbandRegression": 0.3,'
        ' "waveformAdversarial": 0.1, "semantic": 0.1}}'
    )
    assert main(["--out", str(tmp_path / "base"), "--config", str(config)]) == USAGE_ERROR
    assert "shares: Value error, the shares add up to 1.6 and must make 1" in capsys.readouterr().err
