"""A Whisper folder in a real S3: fetched by name, held against its digest, loaded, and refused with a sentence."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.s3_server import environment_of, s3_server

from voice_store.errors import BucketMissing, StoreError
from voice_trainer.__main__ import main
from voice_trainer.errors import Refused
from voice_trainer.job.document import TrainingJob
from voice_trainer.recognition.folder import read_folder
from voice_trainer.recognition.recogniser import open_recogniser

URI = "s3://models/whisper/tiny"
SOUND = (0.1 * np.random.default_rng(0).standard_normal(16_000 * 2)).astype(np.float32)


@pytest.fixture(scope="module")
def served(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, whisper_folder: Path
) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder as the server keeps it, with files beside that nobody asked for, and the variables that lead there."""
    buckets = tmp_path_factory.mktemp("s3") / "data"
    folder = Path(shutil.copytree(whisper_folder, buckets / "models" / "whisper" / "tiny"))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "nested").mkdir()
    (folder / "nested" / "config.json").write_text("{}")
    with s3_server(tool("versitygw"), buckets) as port:
        yield folder, environment_of(port)


@pytest.fixture(autouse=True)
def variables(served: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in served[1].items():
        monkeypatch.setenv(name, value)


def a_job(document: dict[str, Any], digest: str) -> TrainingJob:
    return TrainingJob.model_validate(document | {"language": "ja", "recogniser": {"uri": URI, "digest": digest}})


def test_it_is_fetched_by_name_and_writes(
    job_document: dict[str, Any], whisper_folder: Path, whisper_sentence: str, tmp_path: Path
) -> None:
    digest = read_folder(whisper_folder.as_uri(), tmp_path).digest
    with open_recogniser(a_job(job_document, digest), tmp_path) as recogniser:
        assert recogniser is not None
        written = recogniser.write(SOUND)
    assert written is not None
    assert written.text == whisper_sentence
    fetched = {path.relative_to(tmp_path / "recogniser").as_posix() for path in (tmp_path / "recogniser").rglob("*")}
    assert fetched == {path.name for path in whisper_folder.iterdir()}, "no pickle, nothing of other folders"


def test_another_digest_is_refused_and_nothing_is_loaded(job_document: dict[str, Any], tmp_path: Path) -> None:
    job = a_job(job_document, "sha256:" + "0" * 64)
    sentence = rf"recogniser\.digest is sha256:0{{64}}, but {URI} has sha256:[0-9a-f]{{64}}; restore the folder, or set"
    with pytest.raises(Refused, match=sentence) as refused, open_recogniser(job, tmp_path):
        pytest.fail("it was loaded")
    assert refused.value.reason == "RecogniserDigestMismatch"


def test_the_command_says_the_same_of_the_copy_in_s3(
    whisper_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recogniser", URI]) == 0
    digest = read_folder(whisper_folder.as_uri(), tmp_path).digest
    assert capsys.readouterr().out == f"recogniser:\n  uri: {URI}\n  digest: {digest}\n  languages: [en, ja, ko, zh]\n"


def test_weights_that_changed_after_they_were_pinned_are_refused(
    job_document: dict[str, Any], served: tuple[Path, dict[str, str]], whisper_folder: Path, tmp_path: Path
) -> None:
    digest = read_folder(whisper_folder.as_uri(), tmp_path).digest
    weights = served[0] / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(Refused) as refused, open_recogniser(a_job(job_document, digest), tmp_path):
            pytest.fail("it was loaded")
    finally:
        weights.write_bytes(whole)
    assert refused.value.reason == "RecogniserDigestMismatch"


@pytest.mark.parametrize(
    ("uri", "error", "sentence"),
    [
        pytest.param("s3://models/elsewhere", Refused, "it has no config.json", id="no such folder"),
        pytest.param("s3://nobodys/whisper", BucketMissing, "there is no bucket .nobodys. at", id="no such bucket"),
    ],
)
def test_what_is_not_there_is_a_sentence(tmp_path: Path, uri: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read_folder(uri, tmp_path)


def test_keys_that_may_not_read_it_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StoreError):
        read_folder(URI, tmp_path)
