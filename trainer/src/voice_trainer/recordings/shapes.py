"""The shapes of a dataset's list: which of them a file has, and its rows. Nothing is opened here."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# Names of columns, lower case; the first of a row that a header has is taken.
FILE_COLUMNS: Final = (
    "file_name", "filename", "file", "path", "audio", "audio_file", "audio_path", "vocal_path", "wav", "clip", "id",
    "name",
)  # fmt: skip
TEXT_COLUMNS: Final = (
    "normalized_text", "normalised_text", "normalized_transcription", "normalized", "normalised", "text",
    "transcription", "transcript", "sentence", "raw_text", "raw", "raw_transcription",
)  # fmt: skip
SPEAKER_COLUMNS: Final = ("speaker", "speaker_name", "speaker_id", "client_id")
LANGUAGE_COLUMNS: Final = ("language", "lang", "locale")
LANGUAGES: Final = {
    "en": ("en", "english"),
    "ja": ("ja", "jp", "japanese"),
    "ko": ("ko", "kr", "korean"),
    "yue": ("yue", "cantonese", "hk"),
    "zh": ("zh", "cn", "chinese", "mandarin", "cmn"),
}
UNNAMED: Final = frozenset({"", "auto", "auto_yue"})  # languages of lists whose maker did not know
LINE_END: Final = re.compile(r"\r\n|\r|\n")
LINE_SHOWN: Final = 60

_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # alone, as JSON can hold and no file
_CODES: Final = {name: code for code, names in LANGUAGES.items() for name in names}
_MARKS: Final = (  # byte order marks; the longer of two that begin alike comes first
    (b"\xef\xbb\xbf", "utf-8", "UTF-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le", "UTF-32"),
    (b"\x00\x00\xfe\xff", "utf-32-be", "UTF-32"),
    (b"\xff\xfe", "utf-16-le", "UTF-16"),
    (b"\xfe\xff", "utf-16-be", "UTF-16"),
)


class NotText(Exception):
    """The bytes are no text in an encoding that is taken; the message says what they look like."""


@dataclass(frozen=True)
class Row:
    """One clip of a list, as it is written there."""

    line: int  # counted from 1
    name: str  # an id, or the name or path of a file
    text: str
    speaker: str = ""
    language: str = ""  # a code of LANGUAGES, or what stands there; empty: it is not said


@dataclass(frozen=True)
class Shape:
    """One way to list clips: which column is what."""

    form: str  # of a line, for people
    file: int
    text: int
    speaker: int | None = None
    language: int | None = None
    note: str = ""  # what a person may not expect


@dataclass(frozen=True)
class Listing:
    """The rows of a list, what was recognised, and the lines that do not fit."""

    form: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[tuple[int, str], ...] = ()  # line, what it is and should be


PLAIN: Final = Shape("id|text", file=0, text=1)
LJSPEECH: Final = Shape("id|raw|normalised", file=0, text=2, note="the third column, the normalised text, is the text")
SPEAKERS: Final = Shape("path|speaker|text", file=0, speaker=1, text=2)
OFFICIAL: Final = Shape("path|speaker|language|text", file=0, speaker=1, language=2, text=3)
CALLED: Final = {1: "one", 2: "two", 3: "three"}


def decode_text(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and the encoding where its byte order mark names another than UTF-8.

    Raises:
        NotText: it is neither UTF-8 nor marked as UTF-16 or UTF-32.
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec), "" if name == "UTF-8" else name
            except UnicodeDecodeError as error:
                raise NotText(f"begins with the mark of {name} but is damaged at byte {error.start}") from error
    if b"\0" in data[:4096]:
        raise NotText("has zero bytes, as UTF-16 without its byte order mark has")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        line = len(LINE_END.split(data[: error.start].decode("latin-1")))
        raise NotText(f"line {line} is not UTF-8{_guess(data, error.start)}") from error


def count_lines(text: str) -> int:
    """Return how many lines a text has, whatever ends them."""
    return sum(1 for _ in LINE_END.finditer(text)) + 1


def read_listing(text: str) -> Listing:
    """Return the rows of a list in any of the known shapes."""
    lines = [(number, line) for number, line in enumerate(LINE_END.split(text), start=1) if line.strip()]
    if not lines:
        return Listing(PLAIN.form, (), ())
    if lines[0][1].lstrip().startswith("{"):
        return _json_lines(lines)
    piped = sum("|" in line for _, line in lines)
    if piped and 2 * piped >= len(lines):
        return _columns([(number, [_unquoted(cell) for cell in line.split("|")], line) for number, line in lines], "|")
    delimiter = _delimiter(text, lines[0][1])
    if delimiter:
        return _separated(text, delimiter)
    return Listing(PLAIN.form, (), (), tuple((number, _misfit(line, PLAIN, "|")) for number, line in lines))


def language_code(written: str) -> str:
    """Return the code of a language as lists write it (EN, en-US, Japanese); empty where none is said."""
    name = re.split(r"[-_]", written.strip().lower().removeprefix("all_"))[0]
    return "" if name in UNNAMED else _CODES.get(name, written.strip().lower())


def shorten(line: str) -> str:
    """Quote a value from outside, shortened."""
    return repr(line if len(line) <= LINE_SHOWN else line[:LINE_SHOWN] + "…")


def _guess(data: bytes, place: int) -> str:
    """Return what a text that is no UTF-8 may be: accents of Latin-1 stand alone between letters."""
    high = [number for number, byte in enumerate(data) if byte >= 0x80]
    alone = sum(1 for number in high if data[number + 1 : number + 2] < b"\x80")
    if high and alone == len(high) and data[place] >= 0xA0:
        letter = bytes([data[place]]).decode("latin-1")
        return f" but looks like Latin-1 (Windows-1252), where byte 0x{data[place]:02x} is {letter!r}"
    for codec, name in (("gb18030", "GB 18030"), ("shift_jis", "Shift JIS"), ("euc_kr", "EUC-KR")):
        try:
            data.decode(codec)
        except UnicodeDecodeError:
            continue
        return f" (it could be {name})"
    return ""


def _unquoted(cell: str) -> str:
    """Return a cell without the quotes of CSV around it, where all of it is quoted."""
    cell = cell.strip()
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"').strip() if quoted else cell


def _delimiter(text: str, first: str) -> str:
    """Return the delimiter of a list without bars; empty where no delimiter gives two columns or more everywhere."""
    for delimiter in ("\t", ",", ";"):
        if delimiter not in first:
            continue
        try:
            if _header(next(csv.reader([first], delimiter=delimiter), [])) is not None:
                return delimiter
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
        except csv.Error:  # another delimiter's quotes, or a field of more than 128 KiB
            continue
        if all(len(row) == 2 for row in rows):
            return delimiter
    return ""


def _separated(text: str, delimiter: str) -> Listing:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str], str]] = []
    begun = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begun, [cell.strip() for cell in cells], delimiter.join(cells)))
            begun = reader.line_num + 1
    except csv.Error as error:
        fault = (begun, f"is no CSV from here on ({error}); close its quotes")
        read = _columns(rows, delimiter)
        return Listing(read.form, read.notes, read.rows, (*read.faults, fault))
    return _columns(rows, delimiter)


def _columns(rows: list[tuple[int, list[str], str]], delimiter: str) -> Listing:
    """Return the rows of a list with a delimiter, by its header or by what its columns hold."""
    if not rows:
        return Listing(PLAIN.form, (), ())
    notes: list[str] = []
    header = _header(rows[0][1])
    if header is not None:
        width = len(rows[0][1])
        notes.append("its first line is a header")
        used = {header.file, header.text, header.speaker, header.language}
        if unused := [cell for number, cell in enumerate(rows[0][1]) if number not in used]:
            notes.append(f"the columns {', '.join(shorten(cell) for cell in unused[:5])} are not used")
        shape, rows = header, rows[1:]
    else:
        width = Counter(len(cells) for _, cells, _ in rows).most_common(1)[0][0]
        shape = _shape_of([cells for _, cells, _ in rows if len(cells) == width], width)
        if delimiter != "|":
            shape = Shape(f"id{'<tab>' if delimiter == chr(9) else delimiter}text", file=0, text=1)
    notes += [shape.note] if shape.note else []
    found: list[Row] = []
    faults: list[tuple[int, str]] = []
    for number, cells, line in rows:
        if len(cells) != width or max(shape.file, shape.text) >= width:
            faults.append((number, _misfit(line, shape, delimiter)))
            continue
        speaker = cells[shape.speaker] if shape.speaker is not None else ""
        language = language_code(cells[shape.language]) if shape.language is not None else ""
        found.append(Row(number, cells[shape.file], cells[shape.text], speaker, language))
    return Listing(shape.form, tuple(notes), tuple(found), tuple(faults))


def _header(cells: Sequence[str]) -> Shape | None:
    """Return which column is what, where the cells are names of columns."""
    names = [cell.strip().strip('"').lower() for cell in cells]

    def column(wanted: Iterable[str]) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    file, text = column(FILE_COLUMNS), column(TEXT_COLUMNS)
    if file is None or text is None:
        return None
    form = f"{names[file]} and {names[text]}"
    return Shape(form, file, text, column(SPEAKER_COLUMNS), column(LANGUAGE_COLUMNS))


def _shape_of(rows: list[list[str]], width: int) -> Shape:
    if width == 4 and sum(language_code(row[2]) in {*LANGUAGES, ""} for row in rows) * 2 > len(rows):
        return OFFICIAL
    if width == 3:
        second = {row[1] for row in rows}
        is_speaker = len(second) * 4 <= len(rows) and not any(" " in name for name in second)
        return SPEAKERS if is_speaker else LJSPEECH
    return PLAIN


def _misfit(line: str, shape: Shape, delimiter: str) -> str:
    if delimiter != "|" or "|" not in shape.form:
        return f"is {shorten(line)}; it has not as many columns as the others"
    return f"is {shorten(line)}; a line is {shape.form} with exactly {CALLED[shape.form.count('|')]} |"


def _json_lines(lines: list[tuple[int, str]]) -> Listing:
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    names: list[str] = []
    for number, line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            faults.append((number, f"is {shorten(line)}; a line is a JSON object"))
            continue
        lowered = {str(key).lower(): value for key, value in found.items()}
        cells = [_first(lowered, names) for names in (FILE_COLUMNS, TEXT_COLUMNS, SPEAKER_COLUMNS, LANGUAGE_COLUMNS)]
        if not cells[0] or cells[1] is None:
            faults.append((number, f"is {shorten(line)}; it needs file_name, and text or transcription"))
            continue
        names = names or [str(name) for name in (*FILE_COLUMNS, *TEXT_COLUMNS) if name in lowered][:2]
        file, text, speaker, language = (cell or "" for cell in cells)
        if _SURROGATE.search(file + text + speaker + language):
            faults.append((number, f"is {shorten(line)}; \\ud800 to \\udfff are halves of characters, so write both"))
            continue
        rows.append(Row(number, file, text, speaker, language_code(language)))
    return Listing(f"JSON lines with {' and '.join(names) or 'file_name and text'}", (), tuple(rows), tuple(faults))


def _first(values: dict[str, object], names: Iterable[str]) -> str | None:
    """Return the first of the named values that is a text or a number."""
    found: Iterator[object] = (values[name] for name in names if name in values)
    value = next(found, None)
    return str(value).strip() if isinstance(value, str | int) else None
