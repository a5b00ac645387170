"""A small network with the interface of g2pW decides how characters with several readings are read."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from sovits_core.__main__ import USAGE_ERROR, main
from sovits_core.errors import TextModelRejected
from sovits_core.official.polyphones import copy_g2pw
from sovits_core.text import phonemize, phonemize_for_synthesis
from sovits_core.text.chinese.characters import read_characters
from sovits_core.text.chinese.g2pw import FILES, G2pw, Window, open_g2pw, windows
from sovits_core.text.chinese.readings import Reading

LINE = "第三行很好。"  # 行 is hang2 here, and pypinyin reads it alone as xing2
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def reader(g2pw_model: Path) -> G2pw:
    return open_g2pw(g2pw_model)


@pytest.fixture
def folder(g2pw_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(g2pw_model, tmp_path / "model"))


def test_the_network_reads_what_the_dictionary_reads_otherwise(reader: G2pw) -> None:
    assert " ".join(phonemize(LINE, "zh").phones) == "d i4 s an1 x ing2 h en2 h ao3 ."
    assert " ".join(phonemize(LINE, "zh", polyphones=reader).phones) == "d i4 s an1 h ang2 h en2 h ao3 ."
    assert phonemize_for_synthesis("长高", "zh", polyphones=reader).phones[:4] == (".", "zh", "ang3", "g")


@pytest.mark.parametrize(
    ("clause", "read"),
    [
        pytest.param("长高", [Reading("zhang", 3), None], id="as the right neighbour says"),
        pytest.param("三行", [None, Reading("hang", 2)], id="as the left neighbour says"),
        pytest.param("长", [Reading("chang", 2)], id="as the character itself is mostly read"),
        pytest.param("着了", [Reading("zhao", 2), None], id="with a tone"),
        pytest.param("着", [Reading("zhe", 5)], id="with the neutral tone"),
        pytest.param("他着", [None, None], id="as no phone table can write it"),
        pytest.param("高一", [None, None], id="a character that the dictionary knows better"),
        pytest.param("公", [Reading("hang", 2)], id="a character with one reading"),
        pytest.param("似", [None], id="one that only the table gives one reading"),
        pytest.param("三行,长高.", [None, Reading("hang", 2), None, Reading("zhang", 3), None, None], id="two at once"),
        pytest.param("高行", [None, Reading("hang", 2)], id="a vote for what the character is never read as"),
        pytest.param("a長\U0002070e", [None, Reading("chang", 2), None], id="unknown characters around it"),
        pytest.param("Hello, 한국!", [None] * 10, id="nothing Chinese"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_each_character_is_read_in_its_context(reader: G2pw, clause: str, read: list[Reading | None]) -> None:
    assert reader.read(clause) == read


def test_a_phrase_of_the_dictionary_is_read_as_it_stands_there(reader: G2pw) -> None:
    assert reader.read("银行")[1] == Reading("xing", 2)
    assert phonemize("银行", "zh", polyphones=reader).phones == ("y", "in2", "h", "ang2")


@pytest.mark.parametrize(("text", "language"), [("长高 is 長高", "en"), ("長高", "yue"), ("長高", "ja"), ("123", "en")])
def test_other_languages_are_read_as_without_it(reader: G2pw, text: str, language: str) -> None:
    without, with_reader = (
        outcome(lambda given=given: phonemize(text, language, polyphones=given)) for given in (None, reader)
    )
    assert with_reader == without


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- a refusal is an outcome too
        return type(error), str(error)


@pytest.mark.parametrize(
    ("length", "places", "expected"),
    [
        pytest.param(9, [], [], id="nothing to ask"),
        pytest.param(9, [2, 5], [Window(0, 9, (2, 5))], id="a short clause is shown whole"),
        pytest.param(100, [40, 50], [Window(24, 67, (40, 50))], id="sixteen characters on both sides"),
        pytest.param(600, [16, 493], [Window(0, 510, (16, 493))], id="as long as the network takes"),
        pytest.param(600, [16, 494], [Window(0, 33, (16,)), Window(478, 511, (494,))], id="one more"),
    ],
)
def test_windows_show_each_place_with_its_context(length: int, places: list[int], expected: list[Window]) -> None:
    assert list(windows(length, places)) == expected


def test_a_clause_of_any_length_fits_the_network_and_loses_no_character() -> None:
    for length in (1, 478, 511, 4096):
        found = list(windows(length, range(length)))
        assert [place for window in found for place in window.places] == list(range(length))
        for start, end, places in found:
            assert end - start <= 510
            assert all(start <= max(0, place - 16) and min(length, place + 17) <= end for place in places)


def test_a_clause_longer_than_the_network_takes_is_read_to_its_end(reader: G2pw) -> None:
    clause = "三行" + "公" * 700 + "长高" + "公" * 700 + "他行长高"
    read = reader.read(clause)
    asked = {place: read[place] for place, character in enumerate(clause) if character in "行长"}
    assert list(asked.values()) == [Reading(*pair) for pair in [("hang", 2), ("zhang", 3), ("hang", 2), ("zhang", 3)]]
    assert len(read) == len(clause)


def test_a_network_whose_answers_are_pairs_of_character_and_syllable_is_read_too(folder: Path) -> None:
    # Two characters share a syllable here, so that pairs are more than syllables.
    rows = (folder / "POLYPHONIC_CHARS.txt").read_text(encoding="utf-8")
    rows = rows.replace("著\tㄈㄨㄥ1\n", "著\tㄒㄧㄥ2\n")
    (folder / "POLYPHONIC_CHARS.txt").write_text(rows, encoding="utf-8")
    pairs = sorted(line.replace("\t", " ") for line in rows.splitlines())
    assert len(pairs) == 9
    _shape_network(folder, len(pairs), pairs.index("長 ㄓㄤ3"))
    assert open_g2pw(folder).read("长") == [Reading("zhang", 3)]


def _shape_network(folder: Path, answers: int, favourite: int) -> None:
    """Give the network other tables: so many answers, one of which every character prefers."""
    model = onnx.load(folder / "g2pW.onnx")
    for constant in model.graph.initializer:
        array = onnx.numpy_helper.to_array(constant)
        if constant.name in {"votes", "first"}:
            wider = np.zeros((len(array), answers), np.float32)
            wider[:, favourite] = 1
            constant.CopyFrom(onnx.numpy_helper.from_array(wider, constant.name))
    for value in (*model.graph.input, *model.graph.output):
        if value.name in {"phoneme_mask", "probs"}:
            value.type.tensor_type.shape.dim[1].dim_value = answers
    onnx.save(model, folder / "g2pW.onnx")


def _edit(name: str, change: Callable[[str], str]) -> Damage:
    return lambda folder: (folder / name).write_text(change((folder / name).read_text("utf-8")), encoding="utf-8")


def _edit_network(change: Callable[[onnx.ModelProto], object]) -> Damage:
    def edit(folder: Path) -> None:
        model = onnx.load(folder / "g2pW.onnx")
        change(model)
        onnx.save(model, folder / "g2pW.onnx")

    return edit


def _rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[4].name = "characters"
    for node in model.graph.node:
        node.input[:] = ["characters" if name == "char_ids" else name for name in node.input]


def _rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "logits"


def _open_labels(model: onnx.ModelProto) -> None:
    model.graph.input[3].type.tensor_type.shape.dim[1].dim_param = "labels"


def _divide_by_nothing(model: onnx.ModelProto) -> None:
    model.graph.node[-1].input[1] = "nothing"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "nothing"))


def _weights_elsewhere(folder: Path) -> None:
    model = onnx.load(folder / "g2pW.onnx")
    constant = model.graph.initializer[0]
    (folder.parent / "elsewhere").write_bytes(constant.raw_data)
    onnx.external_data_helper.set_external_data(constant, "../elsewhere", offset=0, length=len(constant.raw_data))
    constant.data_location = onnx.TensorProto.EXTERNAL
    constant.ClearField("raw_data")
    (folder / "g2pW.onnx").write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *(
            pytest.param(
                lambda folder, name=name: (folder / name).unlink(), f"model/{name} is missing", id=f"no {name}"
            )
            for name in (
                "g2pW.onnx",
                "POLYPHONIC_CHARS.txt",
                "MONOPHONIC_CHARS.txt",
                "bopomofo_to_pinyin_wo_tune_dict.json",
                "vocab.txt",
            )
        ),
        pytest.param(lambda folder: (folder / "g2pW.onnx").write_bytes(b"\x80\x04c"), "is no graph", id="no graph"),
        pytest.param(_edit_network(_rename_input), "takes .*characters as .*, but a g2pW", id="another input"),
        pytest.param(_edit_network(_rename_output), "returns logits, but a g2pW", id="another output"),
        pytest.param(_edit_network(_open_labels), "phoneme_mask of shape .*labels", id="an open number of answers"),
        pytest.param(_edit_network(_divide_by_nothing), "not with finite numbers", id="answers that are no numbers"),
        pytest.param(_weights_elsewhere, r"g2pW\.onnx is no graph", id="weights outside the folder"),
        pytest.param(
            _edit("POLYPHONIC_CHARS.txt", lambda text: text + "重\tㄓㄨㄥ4\n"),
            "lists 10 syllables in 10 readings, but the network has 9 answers: take both from one release",
            id="one answer too many",
        ),
        pytest.param(
            _edit("POLYPHONIC_CHARS.txt", lambda text: text + "重\tㄔㄤ2\n高\tㄔㄤ2\n"),
            r"g2pW\.onnx cannot be run as a g2pW network",
            id="characters that the network does not know",
        ),
        pytest.param(
            _edit("vocab.txt", lambda text: text + "more\nand more\n"),
            r"g2pW\.onnx cannot be run as a g2pW network",
            id="tokens that the network does not know",
        ),
        pytest.param(
            _edit("POLYPHONIC_CHARS.txt", lambda text: text + "\n\n重\tㄓㄨㄥ\n"),
            r"POLYPHONIC_CHARS\.txt: line 10 is ''",
            id="an empty line",
        ),
        pytest.param(
            _edit("MONOPHONIC_CHARS.txt", lambda text: text + "重\tㄓㄨㄥ\n"),
            r"MONOPHONIC_CHARS\.txt: line 3 is '重\\tㄓㄨㄥ', and no character with a syllable and its tone",
            id="a syllable without a tone",
        ),
        pytest.param(
            _edit("bopomofo_to_pinyin_wo_tune_dict.json", lambda _: "{"), r"tune_dict\.json is no JSON", id="no JSON"
        ),
        pytest.param(
            _edit("bopomofo_to_pinyin_wo_tune_dict.json", lambda _: "[" * 100_000), "is no JSON", id="endless JSON"
        ),
        pytest.param(
            _edit("bopomofo_to_pinyin_wo_tune_dict.json", lambda _: json.dumps({"ㄓ": ["zhi"]})),
            "does not map syllables to Pinyin",
            id="JSON of something else",
        ),
        pytest.param(
            _edit("vocab.txt", lambda text: text.replace("[CLS]", "<s>")), r"vocab\.txt has no \[CLS\]", id="no BERT's"
        ),
        pytest.param(
            lambda folder: (folder / "vocab.txt").write_bytes(b"a\xff"), "not UTF-8, from byte 1 on", id="not UTF-8"
        ),
        pytest.param(
            lambda folder: (folder / "MONOPHONIC_CHARS.txt").write_bytes(bytes(2**24 + 1)),
            "MONOPHONIC_CHARS.txt has 16777217 bytes, at most 16777216 are read",
            id="a huge table",
        ),
    ],
)
def test_a_folder_that_is_not_what_it_should_be_is_refused(folder: Path, damage: Damage, message: str) -> None:
    damage(folder)
    with pytest.raises(TextModelRejected, match=message):
        open_g2pw(folder)


def test_a_huge_network_is_not_read(folder: Path) -> None:
    with (folder / "g2pW.onnx").open("r+b") as file:
        file.truncate(2**31 + 1)  # takes no room on the disk
    with pytest.raises(TextModelRejected, match=r"g2pW\.onnx has 2147483649 bytes, at most 2147483648 are read"):
        open_g2pw(folder)


def test_the_program_in_the_folder_is_not_run(reader: G2pw, g2pw_model: Path) -> None:
    assert reader.read("长") == [Reading("chang", 2)]
    assert "executed" in (g2pw_model / "config.py").read_text()
    assert not (g2pw_model / "executed").exists()


def test_tokens_are_numbered_by_lines_even_where_a_token_is_a_separator(g2pw_model: Path) -> None:
    characters = read_characters(g2pw_model)
    assert characters.numbers["\u2028"] == 5
    assert characters.tokens("高x").tolist() == [[2, 6, 1, 3]]


def test_nothing_is_imported_before_it_is_opened() -> None:
    program = (
        "import sys, sovits_core.text.chinese.g2pw\n"
        "assert not {'onnxruntime', 'opencc', 'pypinyin', 'torch', 'transformers'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_onnxruntime_the_error_names_it(folder: Path) -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from sovits_core.__main__ import main\n"
        f"sys.exit(main(['phones', '--language', 'zh', '--polyphones', {str(folder)!r}, '长']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == USAGE_ERROR
    assert done.stderr == "sovits-core: g2pW.onnx needs one more package: pip install onnxruntime\n"


@pytest.mark.parametrize("own", [True, False])
def test_a_copy_has_what_is_read_and_takes_the_vocabulary_from_the_text_encoder_where_the_folder_has_none(
    folder: Path, tmp_path: Path, own: bool
) -> None:
    bert = tmp_path / "bert"
    bert.mkdir()
    shutil.move(folder / "vocab.txt", bert)
    if own:
        shutil.copy(bert / "vocab.txt", folder)
        (bert / "vocab.txt").write_text("not this one")
    copy_g2pw(folder, bert, tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == set(FILES)
    assert open_g2pw(tmp_path / "copy").read("长高") == [Reading("zhang", 3), None]


def test_a_folder_without_a_vocabulary_is_refused_where_there_is_no_text_encoder(folder: Path, tmp_path: Path) -> None:
    (folder / "vocab.txt").unlink()
    with pytest.raises(TextModelRejected, match=r"model/vocab\.txt is missing: put that of chinese-roberta"):
        copy_g2pw(folder, None, tmp_path / "copy")


def test_the_command_reads_with_the_folder_that_it_is_given(
    g2pw_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["phones", "--language", "zh", "--names", LINE]
    assert main([*arguments, "--polyphones", str(g2pw_model)]) == 0
    assert capsys.readouterr().out == "d i4 s an1 h ang2 h en2 h ao3 .\n"
    assert main([*arguments, "--polyphones", str(tmp_path)]) == USAGE_ERROR
    assert "g2pW.onnx is missing: name the model's whole folder" in capsys.readouterr().err
