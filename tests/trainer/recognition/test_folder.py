"""A Whisper folder: pinned by what is read of it, and refused with a sentence where it is none."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from voice_trainer.__main__ import main
from voice_trainer.errors import Refused
from voice_trainer.job.document import RecogniserReference
from voice_trainer.recognition.folder import fetch_folder, read_folder

Spoil = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path, whisper_folder: Path) -> Path:
    return Path(shutil.copytree(whisper_folder, tmp_path / "whisper"))


def changed(name: str, **values: object) -> Spoil:
    def change(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(document | values))

    return change


def written(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text(text)


def of_size(name: str, size: int) -> Spoil:
    def change(folder: Path) -> None:
        (folder / name).touch()
        os.truncate(folder / name, size)  # a hole: nothing is written

    return change


def test_the_digest_is_what_sha256sum_says(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    (folder / "README.md").write_text("not read, and not in the digest")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    lines = subprocess.run(["sha256sum", *names], check=True, cwd=folder, capture_output=True).stdout
    said = subprocess.run(["sha256sum"], input=lines, check=True, capture_output=True).stdout.decode()
    found = read_folder(folder.as_uri(), folder)
    assert found.digest == f"sha256:{said.split()[0]}"
    assert found.languages == ("en", "ja", "ko", "zh")
    assert found.name == f"Whisper {said[:12]}"


def test_the_command_prints_what_the_chart_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recogniser", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"  digest: {read_folder(folder.as_uri(), folder).digest}\n  languages: [en, ja, ko, zh]\n" in said
    assert main(["recogniser", str(folder / "nowhere")]) == 78


def test_another_digest_is_refused_with_both(folder: Path, tmp_path: Path) -> None:
    reference = RecogniserReference(uri=folder.as_uri(), digest=read_folder(folder.as_uri(), tmp_path).digest)
    assert fetch_folder(reference, "ja", tmp_path).path == folder
    changed("generation_config.json", max_length=20)(folder)
    with pytest.raises(Refused, match=r"recogniser.digest is sha256:[0-9a-f]{64}, but file:.* has sha256:") as refused:
        fetch_folder(reference, "ja", tmp_path)
    assert refused.value.reason == "RecogniserDigestMismatch"


def test_a_language_that_it_does_not_know_is_refused(folder: Path, tmp_path: Path) -> None:
    reference = RecogniserReference(uri=folder.as_uri(), digest=read_folder(folder.as_uri(), tmp_path).digest)
    with pytest.raises(Refused, match=r"knows en, ja, ko, zh, and not yue; take yue out of recogniser\.languages"):
        fetch_folder(reference, "yue", tmp_path)


def test_an_english_model_knows_english_alone(folder: Path, tmp_path: Path) -> None:
    changed("generation_config.json", is_multilingual=False)(folder)
    assert read_folder(folder.as_uri(), tmp_path).languages == ("en",)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(shutil.rmtree, "has no config.json", id="nothing"),
        pytest.param(lambda f: (f / "generation_config.json").unlink(), "has no generation_config.json", id="half"),
        pytest.param(
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "has no model.safetensors; weights in pickles .* are never read",
            id="a pickle",
        ),
        pytest.param(lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json", id="no tokenizer"),
        pytest.param(changed("config.json", model_type="bert"), "has the model_type 'bert'", id="another network"),
        pytest.param(written("config.json", "[]"), "has a config.json that is no object", id="a list"),
        pytest.param(written("config.json", "["), "has a config.json that is no JSON", id="no JSON"),
        pytest.param(written("config.json", "[" * 10**5), "has a config.json that is no JSON", id="a deep one"),
        pytest.param(changed("generation_config.json", lang_to_id=None), "has no lang_to_id", id="an old one"),
        pytest.param(of_size("merges.txt", 65 * 2**20), "has a merges.txt of 65 MiB; at most 64", id="a bomb"),
        pytest.param(of_size("model.safetensors", 2**34), "has 16384 MiB; at most 8192", id="too large"),
    ],
)
def test_what_is_no_whisper_folder_is_refused_with_the_reason(
    folder: Path, tmp_path: Path, spoil: Spoil, why: str
) -> None:
    spoil(folder)
    with pytest.raises(Refused, match=f"is no Whisper folder that can be used: it {why}") as refused:
        read_folder(folder.as_uri(), tmp_path)
    assert refused.value.reason == "RecogniserRejected"
