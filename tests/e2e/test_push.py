"""`git push` to a bare repository, and minutes later the voice speaks: real recordings, real Jobs, a real server."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from dev.demo.__main__ import STUDIO, SYSTEM, store_environment
from dev.demo.kubectl import Manifest
from tests.cli.conftest import Checkout
from tests.cli.remote import add_remote, pushing
from tests.e2e.conftest import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "new-teacher"
SECONDS = 900.0
Push = Callable[[str], tuple[list[str], float]]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "repository").mkdir()
    return Checkout(tmp_path / "repository")


@pytest.fixture
def push(demo: Demo, checkout: Checkout, repository: Path, tmp_path: Path) -> Push:
    """Commit everything and push it; returns what the server said, and the seconds until the push had ended."""
    config = yaml.safe_load(Path(demo.cluster.environment["KUBECONFIG"]).read_text())
    config["contexts"][0]["context"]["namespace"] = STUDIO
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    environment = add_remote(checkout, repository)
    environment = {**environment, **store_environment(demo.cluster), "KUBECONFIG": str(kubeconfig)}

    def run(message: str) -> tuple[list[str], float]:
        if checkout.git("status", "--porcelain"):
            checkout.commit(message)
        started = time.monotonic()
        said = pushing(checkout, environment, SECONDS)()
        return said, time.monotonic() - started

    return run


def make_folder(path: Path, recordings: Path) -> None:
    shutil.copytree(recordings, path)
    spec = {
        "language": "en",
        "base": "tiny",
        "consent": {"holder": "flite's voice slt", "statement": "May be used to train a demonstration voice."},
        "training": {"epochs": 2},
    }
    manifest = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceModel", "metadata": {"name": path.name}}
    (path / "voice.yaml").write_text(yaml.safe_dump(manifest | {"spec": spec}))


def keep_clips(folder: Path, first: int, last: int) -> None:
    """Leave the clips from the first to before the last."""
    lines = (folder / "metadata.csv").read_text().splitlines(keepends=True)[first:last]
    (folder / "metadata.csv").write_text("".join(lines))
    kept = {line.split("|")[0] for line in lines}
    for clip in (folder / "wavs").iterdir():
        if clip.stem not in kept:
            clip.unlink()


def voice_of(demo: Demo, name: str) -> Manifest:
    return demo.cluster.get("voicemodels.voice.sovits.dev", name, STUDIO)


def jobs_of(demo: Demo) -> set[str]:
    found = demo.cluster.list("jobs", STUDIO, f"voice.sovits.dev/voice-model={NAME}")
    return {job["metadata"]["name"] for job in found}


def test_a_push_makes_a_voice_a_change_another_one_and_a_revert_trains_nothing(
    demo: Demo, checkout: Checkout, push: Push, repository: Path
) -> None:
    figures: dict[str, float] = {}
    try:
        make_folder(checkout.voices / NAME, demo.dataset)
        make_folder(checkout.voices / "short", demo.dataset)
        keep_clips(checkout.voices / "short", 0, 5)
        said, figures["first push"] = push("a new teacher, and one who has said too little")
        assert any(line.startswith(f"{NAME}: Ready: ") for line in said), said
        assert said[-1].endswith("at least 60 s of speech are needed: record more"), said
        first = voice_of(demo, NAME)
        commit = checkout.git("rev-parse", "HEAD")
        assert first["spec"]["source"]["commit"] == commit
        with demo.cluster.forward("default", SYSTEM, 80) as address:
            spoken = httpx.post(
                f"{address}/v1/audio/speech",
                json={"input": "Good morning.", "voice": f"{STUDIO}/{NAME}", "response_format": "wav"},
                timeout=60,
            )
        assert (spoken.status_code, spoken.headers["content-type"]) == (200, "audio/wav")

        shutil.rmtree(checkout.voices / "short")
        keep_clips(checkout.voices / NAME, 1, 1000)
        said, figures["changed recordings"] = push("one clip is gone")
        assert any(line.startswith(f"{NAME}: Ready: ") for line in said), said
        second, jobs = voice_of(demo, NAME), jobs_of(demo)
        assert second["status"]["activeRevision"] != first["status"]["activeRevision"]

        checkout.git("revert", "--no-edit", "HEAD")
        shutil.rmtree(checkout.voices / "short")
        said, figures["git revert"] = push("and the short one stays gone")
        assert any(line.startswith(f"{NAME}: Ready: 0 files sent") for line in said), said
        assert voice_of(demo, NAME)["status"]["activeRevision"] == first["status"]["activeRevision"]
        assert jobs_of(demo) == jobs
        report(repository, figures)
    finally:
        demo.cluster("delete", "voice", NAME, "short", "-n", STUDIO, "--ignore-not-found", "--timeout=60s")


def report(repository: Path, figures: dict[str, float]) -> None:
    out = Path(os.environ.get("E2E_OUT", repository / "out" / "e2e")) / "push.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({name: round(seconds, 1) for name, seconds in figures.items()}) + "\n", encoding="utf-8")
