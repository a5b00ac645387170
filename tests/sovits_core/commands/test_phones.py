"""`sovits-core phones` reads lines and answers each with a line, until one cannot be read."""

import io
import json
import sys
from pathlib import Path

import pytest

from sovits_core.__main__ import USAGE_ERROR, main

DATA = Path(__file__).parents[1] / "text" / "data"


def _run(monkeypatch: pytest.MonkeyPatch, lines: bytes, *options: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    return main(["phones", *options])


@pytest.mark.parametrize(("language", "table"), [("japanese", "v1"), ("japanese", "v2")])
def test_every_line_is_answered_with_its_ids(
    language: str, table: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = json.loads((DATA / f"{language}_phones.json").read_text("utf-8"))
    cases = [case for case in cases if case["symbols"] == table]
    lines = "".join(f"{case['text']}\n" for case in cases).encode()
    assert _run(monkeypatch, lines, "--language", "ja", "--symbols", table) == 0
    assert capsys.readouterr().out.splitlines() == [case["ids"] for case in cases]


def test_names_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "\ufeffこんにちは、世界。\r\nHello world.".encode()
    assert _run(monkeypatch, lines, "--language", "ja", "--symbols", "v1", "--names") == 0
    assert capsys.readouterr().out.splitlines() == [
        "k o UNK N n i ch i w a , s e UNK k a i .",
        "HH AH0 L OW1 W ER1 L D .",
    ]


def test_no_lines_are_no_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, b"") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b"ab\xffc\n", "line 2 is not UTF-8, from byte 3 on: convert it", id="not UTF-8"),
        pytest.param(b"\n", "line 2: the text is empty", id="an empty line"),
        pytest.param(b"?!\n", "line 2: there is nothing to speak in '?!'", id="marks alone"),
        pytest.param(b"a" * 100_000, "line 2 has more than 4096 characters: split it first", id="a huge line"),
        pytest.param(
            b"\xff" * 100_000, "line 2 has more than 4096 characters: split it first", id="huge and not UTF-8"
        ),
        pytest.param(b"a" * 5000, "line 2: the text has 5000 characters, at most 4096 are taken", id="a long line"),
    ],
)
def test_the_first_line_that_cannot_be_read_is_named(
    line: bytes, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, b"Hello world.\n" + line) == USAGE_ERROR
    captured = capsys.readouterr()
    assert captured.out == "51 12 62 68 91 39 62 26 3\n"
    assert captured.err.startswith(f"sovits-core: {message}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "tlh"], "language 'tlh' is not offered; use one of: en, ja, ko, yue, zh, auto"),
        (["--symbols", "v3"], "symbol table 'v3' is not known; use one of v1, v2"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(
    options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, b"", *options) == USAGE_ERROR
    assert message in capsys.readouterr().err


def test_a_word_is_explained_by_what_wrote_and_what_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.tsv").write_text("# mine\nKubernetes\tK UW2 B ER0 N EH1 T IY0 Z\tcmu\n", encoding="utf-8")
    text = "I read Kubernetes for $5."
    assert main(["phones", "--explain", "--lexicon", str(tmp_path / "words.tsv"), text]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "en\tI\tI\tAY1\tas written\tdictionary",
        "en\tread\tread\tR IY1 D\tas written\thomograph: present",
        "en\tKubernetes\tKubernetes\tK UW2 B ER0 N EH1 T IY0 Z\tlexicon\tlexicon",
        "en\tfor\tfor\tF AO1 R\tas written\tdictionary",
        "en\t$5\tfive\tF AY1 V\tmoney\tdictionary",
        "en\t$5\tdollars\tD AA1 L ER0 Z\tmoney\tdictionary",
        "en\t.\t.\t.\tas written\tmark",
    ]


def test_the_spoken_text_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "--normalized", "--language", "zh", "重5kg"]) == 0
    assert capsys.readouterr().out == "重五千克\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Kubernetes\tK\n", "lexicon words.tsv, line 1, has 2 fields: give word, reading and alphabet"),
        (b"gif\tJH\xff\tcmu\n", "lexicon words.tsv cannot be read"),
        (b"gif\tXX\tcmu\n", "'XX' in the reading of 'gif' is no ARPAbet phone"),
    ],
)
def test_a_lexicon_that_cannot_be_used_is_named(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.tsv").write_bytes(content)
    assert main(["phones", "--lexicon", str(tmp_path / "words.tsv"), "Hello"]) == USAGE_ERROR
    assert message in capsys.readouterr().err
