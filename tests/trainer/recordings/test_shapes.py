"""Lists of clips in the shapes that people have: which one is recognised, and what its rows are."""

import pytest

from voice_trainer.recordings.shapes import NotText, Row, decode_text, language_code, read_listing

PAIRS = [("one", "Good morning."), ("two", "It is late, they say.")]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        pytest.param("one|Good morning.\ntwo|It is late, they say.\n", "id|text", id="ours"),
        pytest.param("one | Good morning. \n\n two|It is late, they say.", "id|text", id="blanks and an empty line"),
        pytest.param("one|Good morning.\r\ntwo|It is late, they say.\r\n", "id|text", id="CRLF"),
        pytest.param("one|Good morning.\rtwo|It is late, they say.\r", "id|text", id="CR"),
        pytest.param("id|text\none|Good morning.\ntwo|It is late, they say.\n", "id and text", id="a header"),
        pytest.param('one|"Good morning."\ntwo|"It is late, they say."', "id|text", id="quoted between bars"),
        pytest.param(
            "one|Gd mrng.|Good morning.\ntwo|It's 11, they say.|It is late, they say.",
            "id|raw|normalised",
            id="LJSpeech",
        ),
        pytest.param(
            "one|alice|EN|Good morning.\ntwo|alice|EN|It is late, they say.",
            "path|speaker|language|text",
            id="official",
        ),
        pytest.param(
            "\n".join(f"{name}|0|{text}" for name, text in [*PAIRS, *((f"n{n}", "x") for n in range(6))]),
            "path|speaker|text",
            id="path, speaker, text",
        ),
        pytest.param(
            'file_name,transcription\none,Good morning.\ntwo,"It is late, they say."\n',
            "file_name and transcription",
            id="Hugging Face CSV",
        ),
        pytest.param(
            'duration,text,file_name\n1.5,Good morning.,one\n2,"It is late,\r\n they say.",two\n'.replace(",\r\n", ","),
            "file_name and text",
            id="columns in another order, some not used",
        ),
        pytest.param(
            '{"file_name": "one", "text": "Good morning."}\n{"file_name": "two", "text": "It is late, they say."}\n',
            "JSON lines with file_name and text",
            id="Hugging Face JSON lines",
        ),
        pytest.param("path\tsentence\none\tGood morning.\ntwo\tIt is late, they say.", "path and sentence", id="TSV"),
        pytest.param("one\tGood morning.\ntwo\tIt is late, they say.", "id<tab>text", id="tabs without a header"),
        pytest.param('one,Good morning.\ntwo,"It is late, they say."', "id,text", id="CSV without a header"),
        pytest.param('"one";"Good morning."\n"two";"It is late, they say."', "id;text", id="semicolons"),
        pytest.param("file|text\none|Good morning.\ntwo|It is late, they say.", "file and text", id="header with bars"),
    ],
)
def test_the_rows_are_the_same_in_every_shape(text: str, form: str) -> None:
    listing = read_listing(text)
    assert listing.form == form
    assert [(row.name, row.text) for row in listing.rows][:2] == PAIRS
    assert listing.faults == ()


def test_what_a_person_may_not_expect_is_said() -> None:
    assert read_listing("a|x|y\nb|z z|z z").notes == ("the third column, the normalised text, is the text",)
    notes = read_listing("file_name,text,gender\na,x,f").notes
    assert notes == ("its first line is a header", "the columns 'gender' are not used")


def test_a_quote_inside_of_a_sentence_stays() -> None:
    (row,) = read_listing('a|"Come," she said, "now."').rows
    assert row.text == '"Come," she said, "now."'


def test_rows_know_their_lines_speakers_and_languages() -> None:
    listing = read_listing("\na.wav|alice|ZH|你好\n\nb.wav|bob|jp|やあ\nc.wav|bob|auto|x")
    assert listing.rows == (
        Row(2, "a.wav", "你好", "alice", "zh"),
        Row(4, "b.wav", "やあ", "bob", "ja"),
        Row(5, "c.wav", "x", "bob", ""),
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a|x\nb", 2, "is 'b'; a line is id|text with exactly one |"),
        ("a|x\nb|y\nc|y|z", 3, "is 'c|y|z'; a line is id|text with exactly one |"),
        ("a|x|x y\nb|y|y y\nc|y", 3, "a line is id|raw|normalised with exactly two |"),
        ("a|s|en|x\nb|s|en|y\nc|y", 3, "a line is path|speaker|language|text with exactly three |"),
        ("nothing at all", 1, "a line is id|text with exactly one |"),
        ("file_name,text\na,x\nb", 3, "it has not as many columns as the others"),
        ('file_name,text\na,"x', 2, "is no CSV from here on"),
        ('{"file_name": "a", "text": "x"}\n{"file_name": 3}', 2, "it needs file_name, and text or transcription"),
        ('{"file_name": "a", "text": "x"}\n[', 2, "a line is a JSON object"),
        ('{"a":' + "[" * 100_000, 1, "a line is a JSON object"),
        ('{"file_name": "a", "text": "x"}\n{"file_name": "b", "text": "\\ud83d"}', 2, "are halves of characters"),
        ("a," + "x" * 200_000, 1, "a line is id|text with exactly one |"),
        ("file_name,text\na," + "x" * 200_000, 2, "field larger than field limit"),
    ],
)
def test_a_line_that_does_not_fit_is_named(text: str, line: int, said: str) -> None:
    ((number, fault),) = read_listing(text).faults
    assert number == line
    assert said in fault


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_list_has_no_rows(text: str) -> None:
    assert read_listing(decode_text(text.encode())[0]).rows == ()


@pytest.mark.parametrize(
    ("written", "code"),
    [("EN", "en"), ("en-US", "en"), ("Japanese", "ja"), ("JP", "ja"), ("all_zh", "zh"), ("auto", ""), ("Fr", "fr")],
)
def test_languages_as_lists_write_them(written: str, code: str) -> None:
    assert language_code(written) == code


@pytest.mark.parametrize(
    ("codec", "named"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("utf-32", "UTF-32")],
)
def test_a_byte_order_mark_names_the_encoding(codec: str, named: str) -> None:
    assert decode_text("café|é".encode(codec)) == ("café|é", named)


def test_big_endian_utf_16_is_known_by_its_mark() -> None:
    assert decode_text(b"\xfe\xff" + "é|é".encode("utf-16-be")) == ("é|é", "UTF-16")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("a|x\nb|un café noir".encode("latin-1"), "line 2 is not UTF-8 but looks like Latin-1 .*0xe9 is 'é'"),
        ("a|x\rb|y\rc|très".encode("cp1252"), "line 3 is not UTF-8 but looks like Latin-1"),
        ("一|你好".encode("gb18030"), "line 1 is not UTF-8 .it could be GB 18030"),
        ("a|x".encode("utf-16-le"), "zero bytes, as UTF-16 without its byte order mark"),
        (b"\xff\xfea", "begins with the mark of UTF-16 but is damaged at byte 0"),
    ],
)
def test_other_encodings_are_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(NotText, match=said):
        decode_text(data)


@pytest.mark.parametrize("text", [",\n,\n", ";;\n;;\n", 'file_name,"transcription\none,Good morning.\n'])
def test_a_list_without_a_row_is_empty_and_no_mistake_of_ours(text: str) -> None:
    assert read_listing(text).rows == ()
