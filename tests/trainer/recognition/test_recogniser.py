"""The recogniser of a job, in its own process: the right one, its language, and folders that cannot be loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voice_trainer.errors import Refused
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.workers import Workers
from voice_trainer.recognition.folder import read_folder
from voice_trainer.recognition.recogniser import open_recogniser

SOUND = (0.1 * np.random.default_rng(0).standard_normal(16_000 * 2)).astype(np.float32)


def a_job(document: dict[str, Any], language: str, folder: Path | None) -> TrainingJob:
    reference = None
    if folder is not None:
        reference = {"uri": folder.as_uri(), "digest": read_folder(folder.as_uri(), folder).digest}
    return TrainingJob.model_validate(document | {"language": language, "recogniser": reference})


def test_a_folder_writes_and_what_it_wrote_is_kept(
    job_document: dict[str, Any],
    whisper_folder: Path,
    whisper_sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = a_job(job_document, "ja", whisper_folder)
    with open_recogniser(job, tmp_path, tmp_path / "kept") as recogniser:
        assert recogniser is not None
        assert recogniser.name.startswith("Whisper ")
        written = recogniser.write(SOUND)
        assert written is not None
        assert written.text == whisper_sentence
        assert -0.5 < written.confidence <= 0
        silence = recogniser.write(np.zeros_like(SOUND))
        assert silence is not None
        assert silence.text == ""
        monkeypatch.setattr(Workers, "ask", lambda *_: pytest.fail("it is known already"))
        assert recogniser.write(SOUND) == written


def test_without_a_folder_english_has_pocketsphinx_and_others_have_none(
    job_document: dict[str, Any], tmp_path: Path
) -> None:
    with open_recogniser(a_job(job_document, "en", None), tmp_path) as recogniser:
        assert recogniser is not None
        assert recogniser.name == "pocketsphinx, US English"
    with open_recogniser(a_job(job_document, "ja", None), tmp_path) as recogniser:
        assert recogniser is None


def test_a_folder_that_cannot_be_loaded_is_refused_and_its_code_is_not_run(
    job_document: dict[str, Any], whisper_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whisper_folder, tmp_path / "whisper"))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    for name in ("config.json", "tokenizer_config.json"):
        code = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
        document = json.loads((folder / name).read_text()) | {"auto_map": code, "d_model": 10**8}
        (folder / name).write_text(json.dumps(document))
    with (
        pytest.raises(Refused, match=r"the recogniser file:.* cannot be loaded: ") as refused,
        open_recogniser(a_job(job_document, "en", folder), tmp_path),
    ):
        pytest.fail("it was loaded")
    assert refused.value.reason == "RecogniserRejected"
    assert not (folder / "ran").exists()
