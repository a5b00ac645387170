"""The whole line over a folder: five stages, each in a process of its own, and what they leave in the store."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

from sovits_core.bundle.base import open_base
from sovits_core.formats.adapters import load_adapter, merge
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.official.files import read_official
from sovits_core.official.loading import load_s1
from sovits_core.official.names import to_official
from sovits_core.official.weight_norm import join_weight_norm
from sovits_core.text.symbols import symbols_sha256
from voice_store import FolderStore, StoreUnavailable, open_store
from voice_trainer.__main__ import main
from voice_trainer.evaluation.metrics import METRICS
from voice_trainer.job.limits import Limits
from voice_trainer.job.workspace import Workspace
from voice_trainer.training.checkpoint import KEY as CHECKPOINT

# A base of random weights speaks each of them to the limit, and the recogniser takes its time for noise.
FEW_SENTENCES = Limits(sentences=2, more_sentences=1, most_sentences=3)
ALL = "prepare,features,train,evaluate,publish"


@pytest.fixture(scope="session")
def featured(session_job: dict[str, Any], spoken_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after prepare and features, made once for all tests that begin there."""
    folder = tmp_path_factory.mktemp("featured")
    session_job["dataset"]["uri"] = spoken_dataset.as_uri()
    session_job["store"]["workspace"] = (folder / "workspace").as_uri()
    (folder / "job.json").write_text(json.dumps(session_job))
    assert main(["run", "--job", str(folder / "job.json"), "--stages", "prepare,features"]) == 0
    return folder / "workspace"


@pytest.fixture
def after_features(featured: Path, store: FolderStore) -> None:
    shutil.copytree(featured, store.root, copy_function=shutil.copyfile)


@pytest.fixture
def run(write_job: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Run stages as a pod does: nothing but the store outlives a call."""
    monkeypatch.delenv("VOICE_SCRATCH", raising=False)
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(tmp_path / "termination-log"))
    return lambda stages: main(["run", "--job", str(write_job()), "--stages", stages], FEW_SENTENCES)


@pytest.fixture
def store(job_document: dict[str, Any]) -> FolderStore:
    opened = open_store(job_document["store"]["workspace"])
    assert isinstance(opened, FolderStore)
    return opened


@pytest.fixture
def revision(job_document: dict[str, Any]) -> Path:
    opened = open_store(job_document["store"]["revision"])
    assert isinstance(opened, FolderStore)
    return opened.root


def summary(store: FolderStore, stage: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(store.read(f"{stage}/manifest.json"))
    return dict(document["summary"])


@pytest.mark.slow
def test_recordings_become_a_voice_bundle(  # noqa: PLR0915, PLR0917 -- one run, and all that it leaves
    run: Callable[[str], int],
    store: FolderStore,
    revision: Path,
    job_document: dict[str, Any],
    random_base: Path,
    after_features: None,
) -> None:
    job_document["publish"] = {"official": True}
    job_document["locale"] = "en-GB"
    assert run("prepare") == 0
    assert run("features,train") == 0
    assert run("evaluate,publish") == 0

    for stage in ALL.split(","):
        manifest = json.loads(store.read(f"{stage}/manifest.json"))
        assert (manifest["schema"], manifest["stage"]) == ("voice.sovits.dev/stage/v1", stage)
        assert manifest["inputHash"] == job_document["inputHash"]
        assert not store.exists(f"{stage}/failure.json")
    assert json.loads(store.read("train/progress.json"))["percent"] == 100

    manifest = json.loads((revision / "manifest.json").read_bytes())
    assert manifest["schema"] == "voice.sovits.dev/voice-bundle/v1"
    present = {path.relative_to(revision).as_posix() for path in revision.rglob("*") if path.is_file()}
    assert present == {"manifest.json", *manifest["files"]}
    for name, expected in manifest["files"].items():
        data = (revision / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (expected["sha256"], expected["size"]), name
    published = summary(store, "publish")
    assert published["digest"] == "sha256:" + hashlib.sha256((revision / "manifest.json").read_bytes()).hexdigest()
    assert published["uri"] == job_document["store"]["revision"]
    assert published["size"] == sum((revision / name).stat().st_size for name in present)

    voice = json.loads((revision / "voice.json").read_bytes())
    assert voice["base"]["digest"] == "sha256:" + hashlib.sha256((random_base / "base.json").read_bytes()).hexdigest()
    assert voice["symbolsSha256"] == symbols_sha256()
    assert voice["adapter"] == {"sha256": manifest["files"]["adapter_model.safetensors"]["sha256"], "rank": 2}
    assert (voice["language"], voice["locale"], voice["sampleRate"]) == ("en", "en-GB", 32000)
    assert voice["consent"]["holder"] == "Alice A."
    assert set(voice["scores"]) <= set(METRICS)
    assert {"stoi", "cer", "dnsmos", "noEndTokenRate"} <= set(voice["scores"])
    assert voice["gates"][0] | {"value": ""} == {
        "metric": "pesq", "min": "1.0", "value": "", "verdict": "passed", "passed": True,
    }  # fmt: skip

    prompt = load_file(revision / "prompt.safetensors")
    assert {name: value.dtype for name, value in prompt.items()} == {
        "codes": "int64",
        "phones": "int64",
        "ge": "float32",
    }
    assert prompt["ge"].shape == (32,)
    adapter = load_file(revision / "adapter_model.safetensors")
    assert all(value.dtype == np.float16 for value in adapter.values())
    assert any(np.abs(value).max() > 0 for name, value in adapter.items() if name.endswith("lora_B.weight"))
    reference, rate = soundfile.read(revision / "reference.flac")
    assert rate == 32000
    assert 3 <= len(reference) / rate <= 10
    sentence, rate = soundfile.read(revision / "samples/sentence-1.flac")
    assert rate == 32000
    assert len(sentence)

    page = (revision / "report.html").read_text()
    assert "base&#39;s own gates apply" in page
    assert "Nothing is served yet" in page
    assert "data:audio/flac;base64," in page
    assert page.count("<image href=") == 12, "three clips: recording, resynthesis, the voice and the base alone"
    assert page.count("<polyline ") == 3
    assert "clips as stage prepare measured them, 0 left out" in page
    report = json.loads((revision / "report.json").read_bytes())
    assert report["gatesFrom"] == "base"
    assert report["samples"][0]["text"] == "Good morning."
    assert len(report["samples"]) == 2
    assert all((revision / sample[name]).is_file() for sample in report["samples"] for name in ("file", "baseFile"))
    assert report["similarity"]["names"] == ["recordings", "voice", "base"]
    require_official_files(revision, random_base)
    require_the_same_bytes_again(run, store, revision, job_document)
    require_equal_to_itself(run, store, revision, job_document)


def require_official_files(revision: Path, base_folder: Path) -> None:
    """The official program's files speak as base and adapter do together, to what float16 rounds."""
    base = open_base(base_folder.as_uri())
    networks = Networks(TextToSemantic(base.document.s1), Synthesizer(base.document.synthesizer)).eval()
    load_weights(networks.s1, base.path("s1.safetensors"))
    load_weights(networks.s2, base.path("s2g.safetensors"))
    merged = merge(load_adapter(networks, revision))
    s1 = load_s1(read_official(revision / "official/alice.ckpt"))
    phones, tokens = torch.arange(1, 13)[None], torch.arange(5)[None]
    given = phones, torch.tensor([12]), torch.zeros(1, 12, base.document.s1.bert_dim), tokens, torch.tensor([5])
    with torch.no_grad():
        torch.testing.assert_close(s1(*given), merged.s1(*given), rtol=0.01, atol=0.01)
    written = join_weight_norm(read_official(revision / "official/alice.pth").weights)
    expected = join_weight_norm(to_official(merged.s2))
    assert written.keys() == {key for key in expected if not key.startswith("enc_q.")}
    for key, weight in written.items():
        torch.testing.assert_close(weight.float(), expected[key].float(), rtol=2e-3, atol=1e-4, msg=key)


def require_the_same_bytes_again(
    run: Callable[[str], int], store: FolderStore, revision: Path, job_document: dict[str, Any]
) -> None:
    digest = summary(store, "publish")["digest"]
    store.delete("publish/manifest.json")
    shutil.rmtree(revision)
    assert run("publish") == 0
    assert summary(store, "publish")["digest"] == digest
    assert job_document["publish"]["official"]


def require_equal_to_itself(
    run: Callable[[str], int], store: FolderStore, revision: Path, job_document: dict[str, Any]
) -> None:
    """A voice that is served already, and is trained again unchanged: the same figures, and no difference."""
    served = (revision / "manifest.json").read_bytes()
    job_document["active"] = {
        "revision": "alice-3fa9c2d1",
        "uri": job_document["store"]["revision"],
        "digest": "sha256:" + hashlib.sha256(served).hexdigest(),
    }
    job_document["evaluationHash"] = "1" * 64
    before = json.loads((revision / "report.json").read_bytes())
    assert run("evaluate") == 0
    report = json.loads(store.read("evaluate/report.json"))
    assert report["active"] == {"revision": "alice-3fa9c2d1", "problem": ""}
    for now, then in zip(report["metrics"], before["metrics"], strict=True):
        assert now["active"] == now["voice"] == then["voice"], now["metric"]
        assert now["difference"] in {"", "no difference"}
    assert report["similarity"]["names"] == ["recordings", "voice", "active", "base"]
    assert store.read("evaluate/samples/sentence-1.flac") == store.read("evaluate/samples/sentence-1.active.flac")
    assert summary(store, "evaluate")["activeScores"] == summary(store, "evaluate")["scores"]


@pytest.mark.slow
def test_a_pro_base_has_speaker_vectors_and_text_features_of_mandarin(
    run: Callable[[str], int], store: FolderStore, job_document: dict[str, Any], dataset: Path, random_pro_base: Path
) -> None:
    ids = [row.split("|")[0] for row in (dataset / "metadata.csv").read_text().splitlines()]
    # nobody checks here whether the words are those in the recording
    (dataset / "metadata.csv").write_text("".join(f"{name}|今天天气很好。\n" for name in ids))
    job_document["language"] = "zh"
    job_document["base"]["uri"] = random_pro_base.as_uri()
    job_document["evaluation"]["texts"] = ["今天 is good。"]
    assert run("prepare,features,train,evaluate") == 0

    found = load_file(store.root / "features" / f"{ids[0]}.safetensors")
    assert found["bert"].shape == (len(found["phones"]), 8)
    assert np.array_equal(found["bert"][0], found["bert"][1])  # both phones of one character
    prompt = load_file(store.root / "evaluate" / "prompt.safetensors")
    assert prompt["bert"].shape == (len(prompt["phones"]), 8)
    sentence, _ = soundfile.read(store.root / "evaluate" / "samples" / "sentence-1.flac")
    assert len(sentence)


@pytest.mark.slow
def test_a_second_run_does_nothing_and_gates_that_fail_publish_nothing(
    run: Callable[[str], int],
    store: FolderStore,
    revision: Path,
    job_document: dict[str, Any],
    after_features: None,
) -> None:
    job_document["evaluation"]["gates"] = [{"metric": "stoi", "min": "0.99"}]
    assert run(ALL) == 0
    assert summary(store, "evaluate")["passed"] is False
    assert summary(store, "evaluate")["gatesFrom"] == "spec"
    assert not store.exists("publish/manifest.json")
    assert not revision.exists()

    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    assert run(ALL) == 0
    after = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    assert after == before
    assert not revision.exists()


@pytest.mark.slow
def test_other_gates_repeat_evaluate_and_publish_and_nothing_else(
    run: Callable[[str], int],
    store: FolderStore,
    revision: Path,
    job_document: dict[str, Any],
    after_features: None,
) -> None:
    def committed() -> dict[str, int]:
        return {path.parent.name: path.stat().st_mtime_ns for path in store.root.glob("*/manifest.json")}

    job_document["evaluation"]["gates"] = [{"metric": "stoi", "min": "0.99"}]
    job_document["evaluationHash"] = "1" * 64
    assert run(ALL) == 0
    strict = committed()
    assert "publish" not in strict
    job_document["evaluation"] = {"texts": ["Good night."], "gates": []}
    job_document["evaluationHash"] = "2" * 64
    assert run(ALL) == 0
    lenient = committed()
    assert {stage for stage in lenient if lenient[stage] == strict.get(stage)} == {"prepare", "features", "train"}
    assert json.loads(store.read("publish/manifest.json"))["evaluationHash"] == "2" * 64
    report = json.loads((revision / "report.json").read_bytes())
    assert report["samples"][0]["text"] == "Good night."
    assert run(ALL) == 0
    assert committed() == lenient


@pytest.mark.slow
def test_an_interrupted_training_ends_with_143_and_continues_to_the_same_adapter(  # noqa: PLR0917
    run: Callable[[str], int],
    store: FolderStore,
    job_document: dict[str, Any],
    write_job: Callable[[], Path],
    tmp_path: Path,
    after_features: None,
) -> None:
    job_document["training"]["epochs"] = 3
    assert run("train") == 0
    unbroken = store.read("train/adapter_model.safetensors")
    for key in (entry.key for entry in store.list("train/")):
        store.delete(key)

    command = [sys.executable, "-m", "voice_trainer", "run", "--job", str(write_job()), "--stages", "train"]
    environment = os.environ | {"VOICE_TERMINATION_LOG": str(tmp_path / "log"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 300
    while not store.exists("train/progress.json") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert json.loads((tmp_path / "log").read_bytes())["reason"] == "Interrupted"
    assert store.exists(CHECKPOINT)
    assert not store.exists("train/manifest.json")

    assert run("train") == 0
    assert store.read("train/adapter_model.safetensors") == unbroken
    assert not store.exists(CHECKPOINT)


@pytest.mark.slow
def test_a_training_whose_commit_fails_keeps_its_checkpoint(
    run: Callable[[str], int], store: FolderStore, monkeypatch: pytest.MonkeyPatch, after_features: None
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("s3://voices: no answer")

    monkeypatch.setattr("voice_trainer.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "commit", away)
        assert run("train") == 75
    assert store.exists(CHECKPOINT)
    assert run("train") == 0
    assert not store.exists(CHECKPOINT)


@pytest.mark.slow
def test_after_the_gpus_memory_ran_out_the_same_steps_go_on_in_parts(
    run: Callable[[str], int], store: FolderStore, job_document: dict[str, Any], after_features: None
) -> None:
    job_document["training"] |= {"epochs": 2, "batchSize": 4}
    assert run("train") == 0
    whole = summary(store, "train")
    assert (whole["microBatchSize"], whole["precision"], whole["gradientCheckpointing"]) == (4, "fp32", False)
    lines = store.read("train/epochs.csv").decode().splitlines()
    assert lines[0].startswith("epoch,steps,semantic,semanticDeviation,kl,klDeviation,mel,melDeviation,aside")
    assert len(lines) == 3
    store.delete("train/manifest.json")
    job_document["attempt"] = {"number": 2, "batchSizeDivisor": 2}
    assert run("train") == 0
    parts = summary(store, "train")
    assert (parts["microBatchSize"], parts["gradientCheckpointing"]) == (2, True)
    assert (parts["steps"], parts["batchSize"]) == (whole["steps"], whole["batchSize"])
    for name, loss in whole["losses"].items():
        assert float(parts["losses"][name]) == pytest.approx(float(loss), rel=0.2), name


@pytest.mark.slow
def test_early_stopping_ends_a_training_that_gets_worse_and_keeps_its_best_epoch(
    run: Callable[[str], int], store: FolderStore, job_document: dict[str, Any], after_features: None
) -> None:
    job_document["training"] |= {"epochs": 30, "patience": 2, "learningRate": "0.05"}
    assert run("train") == 0
    found = summary(store, "train")
    assert found["setAside"] >= 1
    assert found["epochs"] == found["keptEpoch"] + 2 < 30
    rows = [line.split(",") for line in store.read("train/epochs.csv").decode().splitlines()[1:]]
    aside = [float(row[-1]) for row in rows]
    assert aside.index(min(aside)) + 1 == found["keptEpoch"]


def test_an_adapter_that_ran_away_is_told_with_the_remedy(
    run: Callable[[str], int], store: FolderStore, job_document: dict[str, Any], after_features: None
) -> None:
    # Nothing above 65504 fits float16; one step of this size leaves every matrix that learns beyond it.
    job_document["training"] |= {"learningRate": "100000", "batchSize": 256}
    assert run("train") == 65
    failure = json.loads(store.read("train/failure.json"))
    assert failure["reason"] == "TrainingDiverged"
    assert "lower training.learningRate (now 100000)" in failure["message"]


def test_a_stage_that_comes_too_early_says_what_is_missing(run: Callable[[str], int], store: FolderStore) -> None:
    assert run("train") == 64
    assert json.loads(store.read("train/failure.json"))["reason"] == "StageMissing"


def test_a_base_that_changed_between_stages_is_refused(
    run: Callable[[str], int], store: FolderStore, after_features: None
) -> None:
    manifest = json.loads(store.read("features/manifest.json"))
    manifest["summary"]["baseDigest"] = "sha256:" + "0" * 64
    store.write("features/manifest.json", json.dumps(manifest).encode())
    assert run("train") == 78
    assert json.loads(store.read("train/failure.json"))["reason"] == "BaseChanged"
