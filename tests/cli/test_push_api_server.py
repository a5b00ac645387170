"""From git to a voice and back, with the operator at work: commits, revisions, reverts, roll-backs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Checkout, Voice, make_folder

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.usefixtures("cluster")]

PREFIX = "s3://voices/datasets/{namespace}"
SECONDS = 30


@pytest.fixture
def push(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> Voice:
    monkeypatch.setenv("VOICE_DATASETS", PREFIX)

    def run(*arguments: str | Path) -> Any:
        return voice("push", *arguments)

    return run


def test_every_version_is_a_commit_a_revert_trains_nothing_and_an_erasure_is_the_end(
    scene: Any, checkout: Checkout, bucket: Any, push: Voice, voice: Voice
) -> None:
    folder = make_folder(checkout.voices / "gina")
    first = checkout.commit("gina: her first recordings")
    done = push(folder)
    assert (done.code, done.err) == (0, "")
    assert "gina: pushed: 9 files sent, 0 were there" in done.out
    spec = scene.user.get("voice", "gina")["spec"]
    assert spec["source"] == {
        "repository": "https://git.example.org/voices.git",
        "commit": first,
        "author": "Eve Editor <eve@example.org>",
    }
    assert spec["dataset"]["uri"].startswith("s3://voices/datasets/operator-tests/gina/")
    assert bucket(spec["dataset"]["uri"])[:2] == ["metadata.csv", "wavs/000.wav"]
    scene.train("gina")
    one = scene.wait_until_ready("gina")

    shutil.rmtree(folder)
    make_folder(folder, loudness=2)
    second = checkout.commit("gina: new recordings")
    assert push(folder).code == 0
    scene.train("gina")
    scene.wait("the second revision", lambda: scene.user.status("gina").get("activeRevision") not in {None, one})
    two = scene.wait_until_ready("gina")
    listed = json.loads(voice("history", "gina", "-o", "json").out)
    assert {(version["revision"], version["commit"]) for version in listed} == {(one, first), (two, second)}

    jobs = set(scene.user.jobs("gina"))
    checkout.git("revert", "--no-edit", "HEAD")
    done = push(folder, "--wait", "--timeout", str(SECONDS))
    assert (done.code, done.out) == (0, "gina: Ready: 0 files sent, 9 were there\n")
    assert scene.user.status("gina")["activeRevision"] == one
    assert set(scene.user.jobs("gina")) == jobs, "the same recordings are not trained twice"

    done = voice("rollback", "gina", "--to", second[:10])
    assert (done.code, done.out.split(" is served")[0]) == (0, f"gina: {two} (commit {second[:12]})")
    scene.wait("the roll-back", lambda: scene.user.status("gina")["activeRevision"] == two, SECONDS)
    assert scene.user.get("voice", "gina")["metadata"]["annotations"]["voice.sovits.dev/requested-by"]
    assert "pinned" in push(folder).out
    assert voice("rollback", "gina", "--to", "0123abcd").code == 5
    assert voice("rollback", "gina", "--latest").code == 0
    scene.wait("the newest", lambda: scene.user.status("gina")["activeRevision"] == one, SECONDS)
    assert set(scene.user.jobs("gina")) == jobs

    status = voice("status", "gina")
    assert (status.code, status.out.split()[:3]) == (0, ["gina", "operator-tests", "Ready"])
    assert f"commit      {first[:12]} by Eve Editor <eve@example.org>" in status.out
    listing = voice("list")
    assert [line.split()[:4] for line in listing.out.splitlines() if line.startswith("gina")] == [
        ["gina", "Ready", one, first[:8]]
    ]
    found = json.loads(voice("diff", one, two, "-o", "json").out)
    assert {"source.commit", "dataset.digest", "artifacts.digest"} <= {row["what"] for row in found}
    assert voice("diff", one, "gina").err.strip().endswith("differ in nothing that is recorded")
    _examine_and_erase(scene, voice)


def _examine_and_erase(scene: Any, voice: Voice) -> None:
    """What is left of gina's life: a bundle that is not what its revision says, the audit log, the end."""
    done = voice("report", "gina")
    assert done.code == 2, "the kubelet of these tests writes `{}` as manifest, which is not what the digest promises"
    assert "has the digest sha256:44136fa3" in done.err
    listed = voice("audit", "--uri", f"file://{scene.trainer.store}/audit", "--voice", "gina")
    assert (listed.code, listed.err) == (0, "")
    assert {"Consented", "Trained", "Served", "RolledBack"} <= set(listed.out.split())
    assert voice("retry", "gina").code == 0
    refused = voice("revoke", "gina")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    assert voice("erase", "gina", "--yes").code == 0
    scene.wait("the erasure", lambda: scene.user.status("gina").get("erased"))
    assert "ConsentRevoked" in voice("list", "--problems").out
    status = voice("status", "gina").out
    assert "x Consent" in status or "✗ Consent" in status
    assert "None; a new consent is a new VoiceModel, with evidence of its own." in status


def test_a_refused_spec_costs_no_upload(checkout: Checkout, bucket: Any, push: Voice) -> None:
    folder = make_folder(checkout.voices / "hugo", loudness=3, training={"epochs": 0})
    checkout.commit("hugo")
    done = push(folder)
    assert done.code == 4
    assert done.last_line == "error: hugo: spec.training.epochs in body should be greater than or equal to 1"
    assert bucket("s3://voices/datasets/operator-tests/hugo") == []


def test_a_push_that_erases_pushes_no_folder(scene: Any, checkout: Checkout, bucket: Any, push: Voice) -> None:
    assert push(make_folder(checkout.voices / "hank", loudness=60)).code == 0
    base = checkout.commit("hank")
    shutil.rmtree(checkout.voices / "hank")
    make_folder(checkout.voices / "ivan", loudness=61)
    head = checkout.commit("ivan for hank")
    done = push("--changed", f"{base}..{head}", checkout.voices, "--erase-deleted")
    assert (done.code, done.out.partition(":")[0]) == (0, "hank")
    consent = scene.user.get("voice", "hank")["spec"]["consent"]
    assert (consent["revoked"], consent["erase"]) == (True, True)
    assert not scene.user.exists("voice", "ivan")


def test_a_voice_whose_folder_is_back_is_not_erased(scene: Any, checkout: Checkout, bucket: Any, push: Voice) -> None:
    folder = make_folder(checkout.voices / "june", loudness=62)
    base = checkout.commit("june")
    assert push(folder).code == 0
    shutil.rmtree(folder)
    deleted = checkout.commit("june goes, by mistake")
    checkout.git("revert", "--no-edit", "HEAD")
    assert push("--changed", f"{base}..HEAD", checkout.voices).code == 0
    checkout.git("checkout", "--quiet", deleted)  # as the job of that day does, once somebody has confirmed it
    done = push("--changed", f"{base}..{deleted}", checkout.voices, "--erase-deleted")
    assert done.code == 2
    assert "june: nothing is erased: it was pushed again by commit" in done.last_line
    assert not scene.user.get("voice", "june")["spec"]["consent"].get("revoked")


def test_recordings_that_the_cluster_refuses_fail_the_push_with_the_reason(
    scene: Any, checkout: Checkout, bucket: Any, push: Voice, tmp_path: Path
) -> None:
    make_folder(checkout.voices / "iris", loudness=4)
    base = checkout.commit("iris")
    make_folder(checkout.voices / "jack", loudness=5)  # not gina's: her consent was revoked
    head = checkout.commit("jack")
    summary = tmp_path / "summary.md"
    span = f"{base}..{head}"
    assert push(checkout.voices, "--changed", span).code == 0
    job = scene.reach_job("jack", "prepare")
    message = {
        "schema": "voice.sovits.dev/failure/v1",
        "stage": "prepare",
        "exitCode": 65,
        "reason": "TooLittleSpeech",
        "message": "41.2 s of speech found, at least 60 s are needed",
    }
    scene.kubelet.end(job, exit_code=65, message=json.dumps(message))
    done = push(checkout.voices, "--changed", span, "--wait", "--timeout", str(SECONDS), "--summary", summary)
    assert done.code == 1
    assert done.last_line.startswith("error: jack: TooLittleSpeech: ")
    assert "41.2 s of speech found" in done.last_line
    assert not scene.user.exists("voice", "iris"), "only what changed is pushed"
    written = summary.read_text()
    assert "| jack | Failed |" in written
    assert "→ Record more." in written
