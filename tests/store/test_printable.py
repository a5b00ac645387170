"""What reaches logs and messages is one printable line, whatever somebody wrote into a name."""

import io
import logging

import pytest

from voice_store.printable import PrintableFormatter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Alice A.", "Alice A.", id="plain text"),
        pytest.param("山田\u3000太郎", "山田 太郎", id="a wide space is a space"),
        pytest.param("क्\u200dष", "क्\u200dष", id="a joiner belongs to the script"),
        pytest.param("Alice\n2026-11-29 ERROR forged", "Alice\\n2026-11-29 ERROR forged", id="a line end"),
        pytest.param("a\r\nb\tc", "a\\r\\nb\\tc", id="CR, LF and a tab"),
        pytest.param("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07", id="commands for a terminal"),
        pytest.param("\x9b2J", "\\x9b2J", id="commands in one character"),
        pytest.param("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d", id="other line ends"),
        pytest.param("nice\u202egpj.exe\u2066", "nice\\u202egpj.exe\\u2066", id="controls of the direction"),
        pytest.param("\U000e0041\ufeff\ud800", "\\U000e0041\\ufeff\\ud800", id="tags, a mark, half a character"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert "\n" not in printable(text)
    assert printable(printable(text)) == shown


def fail() -> None:
    raise ValueError("what\nERROR forged\x1b[31m")


def test_a_record_is_one_line_and_its_traceback_looks_like_no_record() -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))
    log = logging.getLogger("voice_store.printable.test")
    log.propagate = False
    log.addHandler(handler)
    log.warning("%s agreed", "Alice\nERROR forged\x1b[31m")
    try:
        fail()
    except ValueError:
        log.exception("a bug")
    first, second, *traceback = lines.getvalue().splitlines()
    assert first == "WARNING Alice\\nERROR forged\\x1b[31m agreed"
    assert second == "ERROR a bug"
    assert all(line.startswith("    ") for line in traceback)
    assert "\x1b" not in lines.getvalue()
