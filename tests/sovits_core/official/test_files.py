"""Official files are read as data, written so that the official code opens them, and refused in one sentence."""

import io
import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sovits_core.errors import OfficialFileRejected
from sovits_core.official.files import read_official, write_s1, write_s2


class HParams:
    """What the official code calls so, as pickles see it; its own module is a stand-in below."""

    def __init__(self, **settings: Any) -> None:
        for key, value in settings.items():
            setattr(self, key, HParams(**value) if isinstance(value, dict) else value)


HParams.__module__, HParams.__qualname__ = "utils", "HParams"


@pytest.fixture
def official_utils(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("utils")
    module.HParams = HParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "utils", module)


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return OrderedDict(
        {"dec.ups.0.weight_g": torch.rand(4, 1, 1).half(), "enc_p.proj.bias": torch.randn(6), "enc_q.x": torch.ones(2)}
    )


def retagged(path: Path, head: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[:2] = head
    path.write_bytes(data)
    return path


@pytest.mark.usefixtures("official_utils")
@pytest.mark.parametrize("head", ["PK", "00", "01", "02", "03", "04", "05", "06"])
def test_a_file_of_the_official_trainer_is_read_under_every_head(head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    config = HParams(train={"seed": 1234}, model={"version": "v2Pro", "upsample_rates": [10, 8]})
    torch.save({"weight": weights(), "config": config, "info": "8epoch_96iteration", "lora_rank": 32}, path)
    file = read_official(retagged(path, head.encode()))
    assert (file.head, file.info, file.lora_rank) == (head, "8epoch_96iteration", 32)
    assert file.config == {"train": {"seed": 1234}, "model": {"version": "v2Pro", "upsample_rates": [10, 8]}}
    assert file.weights.keys() == weights().keys()
    assert all(torch.equal(file.weights[key], tensor) for key, tensor in weights().items())


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare state"),
        pytest.param(lambda state: {"generator": state}, id="BigVGAN's"),
        pytest.param(
            lambda state: {"model": state, "iteration": 1, "optimizer": {}, "learning_rate": 1e-4}, id="resume"
        ),
    ],
)
def test_the_other_layouts_are_read_as_well(wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    layer = torch.nn.BatchNorm1d(3)  # its state has attributes of its own and a counter
    torch.save(wrap(layer.state_dict()), tmp_path / "x.pth")
    file = read_official(tmp_path / "x.pth")
    assert file.weights.keys() == layer.state_dict().keys()
    assert torch.equal(file.weights["weight"], layer.weight)


def test_views_and_tied_weights_are_read_as_they_are(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(3, 4)
    torch.save(
        {"a": table, "b": table.t(), "c": table[1:], "d": torch.empty(0), "e": torch.tensor(3.0)}, tmp_path / "x"
    )
    read = read_official(tmp_path / "x").weights
    assert torch.equal(read["b"], table.t())
    assert torch.equal(read["c"], table[1:])
    assert read["d"].numel() == 0
    assert float(read["e"]) == 3.0


def test_what_is_written_is_read_back_in_float16_without_the_posterior_encoder(tmp_path: Path) -> None:
    config = {"model": {"version": "v2Pro"}, "data": {"hop_length": 640}}
    write_s2(tmp_path / "x.pth", weights(), config, "info", "05")
    assert (tmp_path / "x.pth").read_bytes()[:4] == b"05\x03\x04"
    file = read_official(tmp_path / "x.pth")
    assert (file.config, file.info) == (config, "info")
    assert file.weights.keys() == {"dec.ups.0.weight_g", "enc_p.proj.bias"}
    assert torch.equal(file.weights["enc_p.proj.bias"], weights()["enc_p.proj.bias"].half())
    assert "utils" not in sys.modules
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pth"]


def test_the_official_loader_opens_what_is_written(tmp_path: Path) -> None:
    write_s2(tmp_path / "x.pth", weights(), {"model": {"version": "v2Pro"}}, "info", "05")
    write_s1(tmp_path / "x.ckpt", {"model.a": torch.ones(2)}, {"model": {"n_layer": 24}}, "info")
    (tmp_path / "utils.py").write_text("class HParams:\n    def __init__(self, **kwargs): raise RuntimeError\n")
    script = (
        "import io, torch\n"
        "data = open('x.pth', 'rb').read()\n"
        "s2 = torch.load(io.BytesIO(b'PK' + data[2:]), weights_only=False)\n"
        "import utils\n"
        "assert type(s2['config']) is utils.HParams and type(s2['config'].model) is utils.HParams\n"
        "assert s2['weight']['enc_p.proj.bias'].dtype == torch.float16\n"
        "s1 = torch.load('x.ckpt', weights_only=True)\n"
        "print(s2['config'].model.version, s1['config']['model']['n_layer'], s1['weight']['model.a'].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["v2Pro", "24", "[1.0,", "1.0]"], done.stderr


def test_a_weight_beyond_float16_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OfficialFileRejected, match="big holds values beyond float16"):
        write_s1(tmp_path / "x.ckpt", {"big": torch.tensor([1e6])}, {}, "")
    assert list(tmp_path.iterdir()) == []


class Code:
    """Pickles as a call of os.system."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


class Attributes:
    """Pickles as attributes set on a call's result."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",), {"a": 1}


def archive(data: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A torch archive around a pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        file.writestr("x/data.pkl", data)
        for name, content in (storages or {}).items():
            file.writestr(f"x/data/{name}", content)
    return made.getvalue()


def saved(content: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    torch.save(content, made, **options)
    return made.getvalue()


def tensor_pickle(shape: bytes, strides: bytes, count: bytes = b"K\x04") -> bytes:
    """{"a": tensor} of float32, whose storage has a claimed number of elements."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + strides + hooks + b"tR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + tensor + b"s."


FOUR = {"0": bytes(16)}
HUGE = b"(\x8a\x06\x00\x00\x00\x00\x00\x01t"  # (2**40,)

PLAIN = tensor_pickle(b"K\x04\x85", b"K\x01\x85")
HOOKED = PLAIN.replace(b"\x89c", b"\x89cos\nsystem\nX\x01\x00\x00\x00x\x85Rc")
MANY = tensor_pickle(b"K\x04\x85", b"K\x01\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x01")
THREES = saved({"a": torch.full((64,), 3.0)})

BAD = {
    "an empty file": (b"", "it is empty"),
    "text": (b"hello, I am a checkpoint", "not a torch checkpoint"),
    "a truncated file": (saved({"a": torch.ones(4096)})[:-900], "truncated or damaged"),
    "a changed byte": (THREES.replace(b"\x00\x00@@" * 8, b"\x00\x00@A" * 8, 1), "checksum"),
    "a zip of something else": (archive(b"x").replace(b"x/data.pkl", b"x/data.xxx"), "not one of torch.save"),
    "compressed": (archive(pickle.dumps({}), compression=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "the old format": (saved({"a": torch.ones(2)}, _use_new_zipfile_serialization=False), "before 1.6"),
    "a Lightning checkpoint": (saved({"state_dict": {}, "pytorch-lightning_version": "2"}), "Lightning"),
    "code": (saved({"weight": {"a": Code()}}), r"code or an unknown class \(posix.system\)"),
    "code with attributes": (saved({"a": Attributes()}), r"code or an unknown class \(posix.mkdir\)"),
    "code as a tensor's hooks": (archive(HOOKED, FOUR), r"code or an unknown class \(os.system\)"),
    "a call of a plain value": (archive(b"\x80\x02K\x01)R."), "its pickle calls int"),
    "attributes of a name": (archive(b"\x80\x02cutils\nHParams\n}X\x01\x00\x00\x00aK\x01sb."), "sets attributes of"),
    "an extension": (archive(b"\x80\x02\x82\x01."), "does what no checkpoint needs"),
    "a key that nests": (archive(b"\x80\x02}" + b")" + b"\x85" * 9 + b"K\x01s."), "its pickle is damaged"),
    "an empty stack": (archive(b"\x80\x02R."), "its pickle is damaged"),
    "no end": (archive(b"\x80\x02}"), "its pickle is damaged"),
    "a huge shape": (archive(tensor_pickle(HUGE, b"K\x00\x85"), FOUR), "claims shape"),
    "a huge stride": (archive(tensor_pickle(b"K\x02\x85", HUGE), FOUR), "claims shape"),
    "a negative stride": (archive(tensor_pickle(b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), FOUR), "no counts"),
    "a huge storage": (archive(MANY, FOUR), "should have"),
    "a missing storage": (archive(PLAIN), "data/0 is missing"),
    "a list": (saved([torch.ones(1)]), "holds a list"),
    "no weights": (saved({}), "not a dictionary of weights"),
    "a number among the weights": (saved({"weight": {"a": 1}}), "a is a int and not a tensor"),
    "integers": (saved({"a": torch.ones(2, dtype=torch.int32)}), "a has type torch.int32"),
    "NaN": (saved({"a": torch.tensor([1.0, float("nan")])}), "a holds values that are not finite"),
    "settings that are none": (saved({"weight": {"a": torch.ones(1)}, "config": 3}), "config is a int"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_sentence_and_nothing_is_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, message = BAD[name]
    (tmp_path / "bad.pth").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OfficialFileRejected, match=message) as refusal:
        read_official(tmp_path / "bad.pth")
    assert str(refusal.value).startswith("bad.pth: ")
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OfficialFileRejected, match="it is a folder"):
        read_official(tmp_path)
    with pytest.raises(OfficialFileRejected, match="cannot be read: No such file"):
        read_official(tmp_path / "none.pth")
