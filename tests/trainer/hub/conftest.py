"""A Hub on this machine, and a bundle to copy to it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.hub import TOKEN, Hub, a_hub

from voice_trainer.__main__ import main

NAME = "studio/alice"
TARGET = f"hf://{NAME}"
VOICE: dict[str, Any] = {
    "schema": "voice.sovits.dev/voice/v1",
    "voice": {"namespace": "local", "name": "alice", "uid": ""},
    "revision": "alice-3fa9c2d1",
    "inputHash": "3fa9c2d1" * 8,
    "language": "en",
    "base": {"name": "tiny", "digest": "sha256:" + "b" * 64},
    "adapter": {"sha256": "c" * 64, "rank": 8},
    "scores": {"stoi": "0.733", "pesq": "1.119"},
    "gates": [],
    "consent": {
        "holder": "Alice A.",
        "statement": "I agree | <b>[to this](x)",
        "evidence": "s3://e/a",
        "expires": None,
    },
    "source": {"repository": "https://git.example.com/voices", "commit": "3f2a"},
    "createdAt": "2026-11-23T06:07:00Z",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # the test session imported it before
    with a_hub() as served:
        yield served


def write_bundle(folder: Path, **changed: Any) -> Path:
    files = {
        "voice.json": json.dumps(VOICE | changed).encode(),
        "adapter_model.safetensors": b"weights" * 1000,
        "adapter_config.json": b"{}",
        "samples/sentence-1.flac": b"fLaC" + bytes(500),
    }
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    manifest = {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": VOICE["revision"], "files": entries}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


@pytest.fixture
def copy(hub: Hub, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(tmp_path / "log"))
    return lambda *flags, source=str(bundle), target=TARGET: main(
        ["copy", source, target, "--endpoint", hub.endpoint, *flags]
    )


def failure(tmp_path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((tmp_path / "log").read_bytes())
    return document


def files_of(bundle: Path) -> dict[str, bytes]:
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
