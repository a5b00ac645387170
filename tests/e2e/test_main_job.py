"""The main job as a user does it: a voice that speaks; and bad input, which ends as a sentence on the resource."""

import csv
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import soundfile
from dev.demo.__main__ import BUCKET, STUDIO, SYSTEM, open_stores
from dev.demo.kubectl import Kubectl, Manifest
from dev.demo.objects import upload
from dev.recordings import Recordings
from tests.e2e.conftest import Demo, run_demo

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
JOB_LABEL = "voice.sovits.dev/voice-model"


def test_the_demo_says_what_it_made(demo: Demo) -> None:
    expected = {"voice", "revision", "artifactUri", "scores", "wav", "wavSeconds", "secondsTotal", "secondsByStep"}
    assert expected <= demo.result.keys()
    assert {"pesq", "stoi"} <= demo.result["scores"].keys()
    assert (demo.out / "report.html").stat().st_size > 1000
    timings = json.loads((demo.out / "timings.json").read_text(encoding="utf-8"))
    phases = {"cluster", "helm", "images", "image on second node", "chart", "voice", "voice: Training", "speak"}
    assert phases <= timings["phases"].keys()


def test_the_voice_speaks_a_plausible_sentence(demo: Demo) -> None:
    samples, rate = soundfile.read(demo.out / "hello.wav", dtype="float32")
    assert rate == 32000
    assert 2 <= len(samples) / rate <= 20
    assert abs(samples).max() > 0.02


def test_kubectl_get_voices_shows_the_columns(demo: Demo) -> None:
    table = demo.cluster("get", "voices", "-n", STUDIO).splitlines()
    assert table[0].split() == ["NAME", "READY", "PHASE", "REVISION", "PROGRESS", "PESQ", "STOI", "AGE"]
    row = next(line.split() for line in table[1:] if line.startswith("flite-slt"))
    assert row[1:3] == ["True", "Ready"]
    assert row[3] == demo.result["revision"]


def test_the_training_job_ran_on_the_spot_gpu_node(demo: Demo) -> None:
    pods = demo.cluster.list("pods", STUDIO, f"{JOB_LABEL}=flite-slt,voice.sovits.dev/stage=train")
    assert pods, "the training pod should stay to be looked at until its Job's time to live ends"
    assert {pod["spec"]["nodeName"] for pod in pods} == {"voice-gpu-spot"}


def test_a_second_run_trains_nothing_and_is_fast(demo: Demo) -> None:
    def jobs() -> set[str]:
        return {job["metadata"]["uid"] for job in demo.cluster.list("jobs", STUDIO, f"{JOB_LABEL}=flite-slt")}

    before, started = jobs(), time.monotonic()
    again = run_demo(demo.out, demo.dataset)
    assert jobs() == before
    assert again["revision"] == demo.result["revision"]
    assert time.monotonic() - started < 180


def test_an_unknown_voice_is_named_in_the_answer(demo: Demo) -> None:
    with demo.cluster.forward("default", SYSTEM, 80) as address:
        answer = httpx.post(
            f"{address}/v1/audio/speech", json={"input": "Hello.", "voice": "studio/nobody", "response_format": "wav"}
        )
    assert answer.status_code == 404
    assert "studio/nobody" in answer.json()["error"]["message"]


@dataclass(frozen=True)
class BadVoice:
    name: str
    reason: str
    spoil: Callable[[Path], None]
    consent: dict[str, object]


def keep_first_clips(count: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:count]
        (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
        kept = {line.split("|")[0] for line in lines}
        for clip in (folder / "wavs").iterdir():
            if clip.stem not in kept:
                clip.unlink()

    return spoil


def first_clip(folder: Path) -> Path:
    return min((folder / "wavs").iterdir())


def drop_first_line(folder: Path) -> None:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE))
    (folder / "metadata.csv").write_text("".join(f"{clip}|{text}\n" for clip, text in rows[1:]), encoding="utf-8")


def damage_first_clip(folder: Path) -> None:
    first_clip(folder).write_bytes(b"RIFF and then nothing of use")


def change_nothing(_: Path) -> None:
    return


BAD_VOICES = [
    BadVoice("short", "TooLittleSpeech", keep_first_clips(5), {}),
    BadVoice("damaged", "UnreadableClip", damage_first_clip, {}),
    BadVoice("clipless", "TranscriptWithoutClip", lambda folder: first_clip(folder).unlink(), {}),
    BadVoice("wordless", "ClipWithoutTranscript", drop_first_line, {}),
    BadVoice("revoked", "ConsentRevoked", change_nothing, {"revoked": True}),
    BadVoice("expired", "ConsentExpired", change_nothing, {"expires": "2020-01-01"}),
]


@pytest.mark.parametrize("bad", BAD_VOICES, ids=lambda bad: f"{bad.name} ends as {bad.reason}")
def test_bad_input_fails_with_its_reason_and_starts_no_gpu_job(bad: BadVoice, demo: Demo, tmp_path: Path) -> None:
    dataset = tmp_path / bad.name
    shutil.copytree(demo.dataset, dataset)
    bad.spoil(dataset)
    stores = open_stores(demo.cluster)
    upload(Recordings(dataset, bad.name, "nobody"), stores.open(f"{BUCKET}/datasets/{STUDIO}/{bad.name}"))
    demo.cluster.apply(
        {
            "apiVersion": "voice.sovits.dev/v1alpha1",
            "kind": "VoiceModel",
            "metadata": {"name": bad.name, "namespace": STUDIO},
            "spec": {
                "language": "en",
                "base": "tiny",
                "dataset": {"uri": f"{BUCKET}/datasets/{STUDIO}/{bad.name}", "maxRejected": 0},
                "consent": {"holder": "Nobody", "statement": "A test."} | bad.consent,
            },
        }
    )
    try:
        voice = wait_for_phase(demo.cluster, bad.name, "Failed", seconds=120)
        reasons = {condition["reason"] for condition in voice["status"]["conditions"]}
        assert bad.reason in reasons
        stages = {
            job["metadata"]["labels"]["voice.sovits.dev/stage"]
            for job in demo.cluster.list("jobs", STUDIO, f"{JOB_LABEL}={bad.name}")
        }
        assert stages <= {"prepare"}
        assert not voice["status"].get("artifacts")
        assert list(stores.open(f"{BUCKET}/{STUDIO}/{bad.name}/revisions").list()) == []
    finally:
        demo.cluster("delete", "voice", bad.name, "-n", STUDIO, "--timeout=60s")


def wait_for_phase(cluster: Kubectl, name: str, phase: str, *, seconds: float) -> Manifest:
    deadline = time.monotonic() + seconds
    while True:
        voice = cluster.get("voicemodels.voice.sovits.dev", name, STUDIO)
        if voice.get("status", {}).get("phase") == phase:
            return voice
        assert time.monotonic() < deadline, (
            f"{name} is not {phase} after {seconds} s: {json.dumps(voice.get('status'), indent=1)}"
        )
        time.sleep(1)


def test_deleting_a_voice_takes_it_from_the_server_and_its_artifacts_from_the_bucket(demo: Demo) -> None:
    bundle = open_stores(demo.cluster).open(f"{BUCKET}/{STUDIO}/flite-slt/revisions/{demo.result['revision']}")
    assert list(bundle.list())
    demo.cluster("delete", "voice", "flite-slt", "-n", STUDIO, "--timeout=60s")
    deadline = time.monotonic() + 60
    with demo.cluster.forward("default", SYSTEM, 80) as address:
        while any(voice["id"] == f"{STUDIO}/flite-slt" for voice in httpx.get(f"{address}/v1/voices").json()["data"]):
            assert time.monotonic() < deadline
            time.sleep(1)
    while list(bundle.list()):
        assert time.monotonic() < deadline
        time.sleep(1)
