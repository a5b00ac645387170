"""What tests share: the reference data beside the project, the pinned tools, and real control planes."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.control_plane import a_control_plane
from tests.support.side_by_side import CONTROL_PLANE, GroupScheduling, group_of, rank

REPOSITORY = Path(__file__).resolve().parents[1]
pytest_plugins = ("tests.support.scene",)  # one operator for the session, whichever folders use it


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a control plane, however it comes by it, and put what takes long first."""
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)  # `make test-fast` leaves it out
            if group_of(item.nodeid) != CONTROL_PLANE:
                raise pytest.UsageError(f"{item.nodeid}: name its folder in tests/support/side_by_side.py")
    items.sort(key=lambda item: rank(group_of(item.nodeid)))


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Give each of several processes groups of tests that share something."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the project; CI and developers have it, users do not."""
    folder = Path(os.environ.get("VOICE_OPERATOR_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}")
    return folder


@pytest.fixture(scope="session")
def spoken_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample sentences spoken by flite: `metadata.csv` and `wavs/`, some 100 seconds of speech."""
    folder = tmp_path_factory.mktemp("spoken") / "sample"
    (folder / "wavs").mkdir(parents=True)
    metadata = REPOSITORY / "examples" / "sample-voice" / "metadata.csv"
    with metadata.open(encoding="utf-8", newline="") as lines:
        for clip, text in csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE):
            target = folder / "wavs" / f"{clip}.wav"
            subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(target)], check=True, capture_output=True)
    shutil.copy(metadata, folder)
    return folder


@pytest.fixture(scope="session")
def transcripts(spoken_dataset: Path) -> dict[str, str]:
    with (spoken_dataset / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        return dict(csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Return the path of a pinned program (helm, kubeconform, kubectl), built on first use."""

    def find(name: str) -> Path:
        command = [sys.executable, "-m", "dev.tool", name]
        found = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
        return Path(found.stdout.strip())

    return find


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real etcd, API server and controller manager of our own; returns an administrator's kubeconfig."""
    with a_control_plane(tmp_path_factory.mktemp("control-plane")) as kubeconfig:
        yield kubeconfig


VOTES = {
    "高": "ㄓㄤ3",  # grows tall
    "三": "ㄏㄤ2",  # the third line
    "銀": "ㄒㄧㄥ2",  # wrong, and against the dictionary's phrase
    "了": "ㄓㄠ2",  # catches a cold
    "他": "ㄈㄨㄥ1",  # which no phone table can write
    "一": "ㄧ4",
}
READINGS = {
    "長": ["ㄔㄤ2", "ㄓㄤ3"],
    "行": ["ㄏㄤ2", "ㄒㄧㄥ2"],
    "著": ["ㄓㄜ5", "ㄓㄠ2", "ㄈㄨㄥ1"],
    "一": ["ㄧ1", "ㄧ4"],
}
SPELLINGS = {
    "ㄔㄤ": "chang",
    "ㄓㄤ": "zhang",
    "ㄏㄤ": "hang",
    "ㄒㄧㄥ": "xing",
    "ㄓㄜ": "zhe",
    "ㄓㄠ": "zhao",
    "ㄧ": "yi",
}


def _write_g2pw(folder: Path) -> Path:
    """A folder as GPT-SoVITS ships it, whose small network reads a character as its two neighbours vote.

    Every input changes what it answers. Without a vote for it a character is read as the first in `READINGS`.
    """
    import numpy as np  # noqa: PLC0415 -- most tests need none of this
    from onnx import TensorProto, checker, helper, numpy_helper, save  # noqa: PLC0415

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2028", *dict.fromkeys("".join(VOTES) + "長行著一,.")]
    labels = sorted({label for found in READINGS.values() for label in found})
    characters = sorted(READINGS)
    votes = np.zeros((len(vocabulary), len(labels)), np.float32)
    for token, label in VOTES.items():
        votes[vocabulary.index(token), labels.index(label)] = 4
    first = np.zeros((len(characters), len(labels)), np.float32)
    for number, character in enumerate(characters):
        first[number, labels.index(READINGS[character][0])] = 1
    constants = {"votes": votes, "first": first, "one": np.array([1]), "row": np.array([0])}
    constants["places"] = np.ones((512, 1), np.float32)  # as many as a BERT has
    inputs = dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), (TensorProto.INT64, ["rows", "tokens"]))
    inputs["phoneme_mask"] = (TensorProto.FLOAT, ["questions", len(labels)])
    inputs |= dict.fromkeys(("char_ids", "position_ids"), (TensorProto.INT64, ["questions"]))
    node = helper.make_node
    nodes = [
        node("Mul", ["input_ids", "attention_mask"], ["shown"]),
        node("Add", ["shown", "token_type_ids"], ["tokens"]),
        node("Squeeze", ["tokens", "row"], ["sentence"]),
        node("Gather", ["votes", "sentence"], ["opinions"]),
        *(
            step
            for side, move in (("left", "Sub"), ("right", "Add"))
            for step in (
                node(move, ["position_ids", "one"], [f"{side}_place"]),
                node("Gather", ["opinions", f"{side}_place"], [f"{side}_vote"]),
            )
        ),
        node("Gather", ["places", "position_ids"], ["place"]),
        node("Gather", ["first", "char_ids"], ["habit"]),
        node("Sum", ["left_vote", "right_vote", "place", "habit"], ["scores"]),
        node("Exp", ["scores"], ["odds"]),
        node("Mul", ["odds", "phoneme_mask"], ["possible"]),
        node("ReduceSum", ["possible", "one"], ["all"]),
        node("Div", ["possible", "all"], ["probs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g2pw",
        [helper.make_tensor_value_info(name, *given) for name, given in inputs.items()],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["questions", len(labels)])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    folder.mkdir()
    save(model, folder / "g2pW.onnx")
    pairs = [f"{character}\t{label}\n" for character, found in READINGS.items() for label in found]
    tables = {
        "POLYPHONIC_CHARS.txt": "".join(pairs),
        "MONOPHONIC_CHARS.txt": "公\tㄏㄤ2\n似\tㄏㄤ2\n",  # wrong, so that it shows whether the table was asked
        "bopomofo_to_pinyin_wo_tune_dict.json": json.dumps(SPELLINGS),
        "char_bopomofo_dict.json": "{}",
        "config.py": f"open({str(folder / 'executed')!r}, 'w')\nuse_char_phoneme = False\n",
        "vocab.txt": "\n".join(vocabulary) + "\n",
    }
    for name, content in tables.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def g2pw_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that leave it as it is."""
    return _write_g2pw(tmp_path_factory.mktemp("g2pw") / "G2PWModel")
