"""Argo CD's and Flux's own libraries: nothing differs after the operator has written, and health follows a voice."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.conftest import Checkout, Voice, make_folder
from tests.cli.studio import PREFIX
from tests.faults.lab import Lab
from tests.faults.node import Hold, Outcome
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.forges, pytest.mark.cluster, pytest.mark.slow]

SECONDS = 180
TOO_LITTLE = {
    "schema": "voice.sovits.dev/failure/v1",
    "stage": "prepare",
    "exitCode": 65,
    "reason": "TooLittleSpeech",
    "message": "41.2 s of speech found, at least 60 s are needed",
}
Sync = Callable[[str], dict[str, Any]]


@pytest.fixture
def plan(lab: Lab) -> Iterator[Lab]:
    """A node that goes back to playing pods as they should be."""
    yield lab
    lab.node.plan = lambda _: Outcome()


@pytest.fixture
def sync(  # noqa: PLR0917 -- pytest's fixtures
    gitops_program: Path, checkout: Checkout, repository: Path, voice: Voice, plan: Lab, bucket: object
) -> Any:
    """Render the folders, build the base with kustomize, and hand it to a controller; return what it says."""
    base = checkout.path / "base"
    shutil.copytree(repository / "ci" / "gitops" / "base", base)
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text()) | {"namespace": plan.namespace}
    (base / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    def run(controller: str, command: str) -> dict[str, Any]:
        folders = sorted(checkout.voices.iterdir())
        done = voice(
            "render", *folders, "-n", plan.namespace, "--datasets", PREFIX, "--upload", "--requested-by", controller
        )
        assert done.code == 0, done.err
        (base / "voices.yaml").write_text(done.out)
        built = subprocess.run(["kubectl", "kustomize", str(base)], capture_output=True, text=True, check=True).stdout
        health = repository / "ci" / "gitops" / "argocd-health.lua"
        said = subprocess.run(
            [gitops_program, controller, command],
            input=built,
            env={**os.environ, "ARGOCD_HEALTH": str(health)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert said.returncode == 0, said.stderr
        return {one["name"]: one for one in json.loads(said.stdout)}

    return run


def wait_until_equal(sync: Any, controller: str, name: str, health: str) -> dict[str, Any]:
    """Wait until nothing differs: a status that the operator writes between two requests of a comparison does."""
    found = dict[str, Any]()

    def is_equal() -> bool:
        found.update(sync(controller, "diff")[name])
        return (found["health"], found["differs"]) == (health, [])

    wait_for(f"{name} to be {health} and equal", is_equal, SECONDS)
    return found


@pytest.mark.parametrize(
    ("controller", "training", "ready"), [("argocd", "Progressing", "Healthy"), ("flux", "InProgress", "Current")]
)
def test_nothing_differs_while_a_voice_is_trained_and_served(  # noqa: PLR0917 -- pytest's fixtures
    controller: str, training: str, ready: str, sync: Any, plan: Lab, checkout: Checkout, cluster: None
) -> None:
    name, hold = f"{controller}-good", Hold("train")
    plan.node.plan = hold
    make_folder(checkout.voices / name, loudness=120 + len(controller))
    checkout.commit("a voice")
    sync(controller, "apply")
    wait_for("the training", lambda: plan.status(name).get("phase") == "Training", SECONDS)
    wait_until_equal(sync, controller, name, training)
    hold.release()
    wait_for("the voice", lambda: plan.is_ready(name), SECONDS)
    wait_until_equal(sync, controller, name, ready)

    generation = plan.client.get("voicemodels", name)["metadata"]["generation"]
    sync(controller, "apply")
    assert plan.client.get("voicemodels", name)["metadata"]["generation"] == generation


@pytest.mark.parametrize(("controller", "failed"), [("argocd", "Degraded"), ("flux", "Failed")])
def test_a_failed_voice_is_one_and_differs_in_nothing(  # noqa: PLR0917 -- pytest's fixtures
    controller: str, failed: str, sync: Any, plan: Lab, checkout: Checkout, cluster: None
) -> None:
    name = f"{controller}-short"
    plan.node.plan = lambda _: Outcome(exit_code=65, message=json.dumps(TOO_LITTLE))
    make_folder(checkout.voices / name, loudness=130 + len(controller))
    checkout.commit("too little")
    sync(controller, "apply")
    wait_for("the failure", lambda: plan.status(name).get("phase") == "Failed", SECONDS)
    found = wait_until_equal(sync, controller, name, failed)
    assert "41.2 s of speech found" in found["message"]


@pytest.mark.parametrize("controller", ["argocd", "flux"])
def test_a_field_that_somebody_else_changed_differs(
    controller: str, sync: Any, plan: Lab, checkout: Checkout, cluster: None
) -> None:
    name = f"{controller}-edited"
    plan.node.plan = Hold("prepare")
    make_folder(checkout.voices / name, loudness=140 + len(controller))
    checkout.commit("a voice")
    sync(controller, "apply")
    plan.edit(name, language="ja")
    assert sync(controller, "diff")[name]["differs"] != []
    found = sync(controller, "apply")[name]
    wait_until_equal(sync, controller, name, found["health"])
    assert plan.client.get("voicemodels", name)["spec"]["language"] == "en"
