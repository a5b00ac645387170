"""Tables fit the terminal, pipes get plain columns, and nothing from outside commands a terminal."""

import json

import pytest
import yaml
from rich.console import Console

from voice_cli.columns import Layout, fitted, layout_of
from voice_cli.output import Output

HEADS = ("NAME", "STATE", "REVISION", "NEWS")
ROWS = [
    ("mia", "Ready", "mia-3400557c", ""),
    ("nora", "Failed", "", "GatesFailed: stoi is 0.41, at least 0.85 is needed"),
]


def lines(capsys: pytest.CaptureFixture[str], *, width: int, colours: bool = False) -> list[str]:
    output = Output()
    output.console = Console(
        highlight=False, markup=False, force_terminal=True, width=width, no_color=not colours, legacy_windows=False
    )
    output.table(HEADS, ROWS, style_of=1)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [30, 80, 200])
def test_every_line_fits_and_every_name_is_whole(capsys: pytest.CaptureFixture[str], width: int) -> None:
    printed = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines(capsys, width=width)]
    assert [line for line in printed if len(line) > width] == []
    assert [line.split()[0] for line in printed if not line.startswith(" ")] == ["NAME", "mia", "nora"]


def test_what_has_no_room_beside_stands_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, width=50)[-1] == "    GatesFailed: stoi is 0.41, at least 0.85 is n…"


def test_a_state_has_its_colour_and_loses_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[32mReady" in "".join(lines(capsys, width=80, colours=True))
    assert "\x1b[32m" not in "".join(lines(capsys, width=80))


def test_a_pipe_gets_plain_columns_without_a_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(HEADS, ROWS)
    assert capsys.readouterr().out == (
        "NAME   STATE    REVISION       NEWS\n"
        "mia    Ready    mia-3400557c\n"
        "nora   Failed                  GatesFailed: stoi is 0.41, at least 0.85 is needed\n"
    )


def test_a_column_without_cells_is_left_out() -> None:
    assert layout_of([("A", "B"), ("x" * 10, "y" * 200)], 40) == Layout((10, 28), below=False)
    assert fitted("漢字かな", 5) == "漢字…"


def test_controls_of_terminals_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(("NAME", "NEWS"), [("mia", "x\x1b[2J\n\u202ey")])
    Output().line("a\x1b]0;title\x07")
    assert "\x1b" not in (printed := capsys.readouterr().out)
    assert "x\\x1b[2J\\n\\u202ey" in printed


def test_documents_are_what_programs_read(capsys: pytest.CaptureFixture[str]) -> None:
    document = [{"name": "mia", "holder": "Zoë"}]
    Output("json").document(document)
    assert json.loads(capsys.readouterr().out) == document
    Output("yaml").document(document)
    assert yaml.safe_load(capsys.readouterr().out) == document
    Output("name").document(document, ["voicemodel.voice.sovits.dev/mia"])
    assert capsys.readouterr().out == "voicemodel.voice.sovits.dev/mia\n"
