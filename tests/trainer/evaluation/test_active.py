"""The served revision: loaded from its bundle as it was published, or told why it is not compared."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sovits_core.formats.adapters import attach_adapter, save_adapter
from voice_trainer.evaluation.active import ActiveVoice, NotCompared, load_active
from voice_trainer.job.base import JobBase
from voice_trainer.job.document import ActiveRevision
from voice_trainer.training.networks import load_networks

CPU = torch.device("cpu")
Publish = Callable[..., ActiveRevision]


@pytest.fixture
def base(random_base: Path, tmp_path: Path) -> JobBase:
    return JobBase(random_base.as_uri(), "", tmp_path / "scratch")


@pytest.fixture
def publish(base: JobBase, tmp_path: Path) -> Publish:
    """Write a bundle with an adapter that differs from the base's weights."""

    def write(files: dict[str, bytes] | None = None, **voice: Any) -> ActiveRevision:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        model = attach_adapter(load_networks(base, CPU), 2, ("attention",), 1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.constant_(parameter, 0.5)
        save_adapter(model, folder)
        prompt = {"codes": torch.arange(4), "phones": torch.arange(6), "ge": torch.ones(32)}
        save_file(prompt, folder / "prompt.safetensors")
        known = {"language": "en", "base": {"name": "random", "digest": base.digest}}
        (folder / "voice.json").write_text(json.dumps(known | voice))
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
        entries = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in contents.items()
        }
        manifest = {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": "alice-9d01b7e4", "files": entries}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        return ActiveRevision(revision="alice-9d01b7e4", uri=folder.as_uri(), digest=f"sha256:{digest}")

    return write


def test_where_nothing_is_served_there_is_nothing_to_compare(base: JobBase, tmp_path: Path) -> None:
    assert load_active(None, base, "en", tmp_path, CPU) is None


def test_the_served_revision_has_its_own_adapter_and_prompt(publish: Publish, base: JobBase, tmp_path: Path) -> None:
    found = load_active(publish(), base, "en", tmp_path, CPU)
    assert isinstance(found, ActiveVoice)
    assert found.prompt.tokens.tolist() == [0, 1, 2, 3]
    assert found.prompt.bert is None
    stored = load_file(tmp_path / "bundle" / "adapter_model.safetensors")
    assert all((value == 0.5).all() for name, value in stored.items() if "lora_B" in name)
    loaded = [value for name, value in found.voice.adapter.named_parameters() if "lora_B" in name]
    assert len(loaded) == sum("lora_B" in name for name in stored)
    assert all((value == 0.5).all() for value in loaded)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"language": "ja"}, "it speaks another language (ja)"),
        ({"base": {"name": "v2", "digest": "sha256:0"}}, "it was made from another base"),
        ({"base": None}, "it was made from another base"),
        ({"files": {"voice.json": b"[]"}}, "its bundle cannot be loaded"),
        ({"files": {"prompt.safetensors": b"no tensors"}}, "its bundle cannot be loaded"),
        ({"files": {"adapter_model.safetensors": b"no tensors"}}, "its bundle cannot be loaded"),
    ],
    ids=["language", "base", "no base", "voice.json", "prompt", "adapter"],
)
def test_what_cannot_be_compared_is_a_sentence(
    publish: Publish, base: JobBase, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    found = load_active(publish(**change), base, "en", tmp_path, CPU)
    assert isinstance(found, NotCompared)
    assert found.reason.startswith(reason)


def test_a_bundle_that_was_changed_or_erased_is_told(publish: Publish, base: JobBase, tmp_path: Path) -> None:
    active = publish()
    (tmp_path / "bundle" / "prompt.safetensors").write_bytes(b"another")
    for _ in ("changed", "erased"):
        found = load_active(active, base, "en", tmp_path / "elsewhere", CPU)
        assert isinstance(found, NotCompared)
        assert found.reason.startswith("its bundle is not there as it was published: ")
        (tmp_path / "bundle" / "manifest.json").unlink(missing_ok=True)
