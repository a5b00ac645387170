"""Programs, cluster and images are made side by side, and the second node's image does not hold up the chart."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event
from types import TracebackType
from typing import Self

import pytest
from dev.demo import preparation
from dev.demo.preparation import prepared
from dev.errors import DevError
from dev.stopwatch import Stopwatch

IMAGES = {"operator": "voice-operator/operator:dev-1"}


class FakeCommands:
    """Answers in place of the commands; `during` runs inside the one that it names."""

    def __init__(self, during: dict[str, Callable[[], None]]) -> None:
        self.during = during
        self.ran: list[str] = []
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended = True

    def run(self, *words: str) -> str:
        line = " ".join(words)
        self.ran.append(line)
        for begin, act in self.during.items():
            if line.startswith(begin):
                act()
        if line == "cluster kubeconfig":
            return "/state/admin.kubeconfig"
        return json.dumps(IMAGES) if line.startswith("images load all") else "/cache/helm"


Fake = Callable[..., FakeCommands]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("CLUSTER", raising=False)

    def make(**during: Callable[[], None]) -> FakeCommands:
        commands = FakeCommands({name.replace("_", " "): act for name, act in during.items()})
        monkeypatch.setattr(preparation, "Commands", lambda: commands)
        return commands

    return make


def test_cluster_and_images_are_made_at_the_same_time(fake: Fake) -> None:
    both = Barrier(2, timeout=10)  # neither goes on before the other has begun
    fake(cluster_up=both.wait, images_load_all=both.wait)
    watch = Stopwatch()
    with prepared(watch) as ready:
        assert ready.kubectl.environment == {"KUBECONFIG": "/state/admin.kubeconfig"}
        assert (ready.helm, ready.images) == (Path("/cache/helm"), IMAGES)
    assert {"cluster", "helm", "images", "image on second node"} <= watch.seconds.keys()


def test_the_second_nodes_image_is_loaded_while_the_chart_is_installed(fake: Fake) -> None:
    installed = Event()
    commands = fake(images_load_trainer=lambda: installed.wait(10) or pytest.fail("the chart waited for the image"))
    with prepared(Stopwatch()) as ready:
        assert not ready.on_every_node.done()
        installed.set()
    assert ready.on_every_node.done()
    first = next(line for line in commands.ran if line.startswith("images load all"))
    assert first.endswith("--node voice-dev")


def test_a_failed_build_ends_everything_at_once(fake: Fake) -> None:
    ended = Event()

    def fail() -> None:
        raise DevError("the trainer's image cannot be built")

    commands = fake(cluster_up=lambda: ended.wait(0.5), images_load_all=fail)
    with pytest.raises(DevError, match="cannot be built"), prepared(Stopwatch()):
        pytest.fail("nothing to install")
    assert commands.ended


def test_another_cluster_pulls_its_images_itself(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    commands = fake()
    with prepared(Stopwatch()):
        pass
    assert not any(line.startswith("images load trainer") for line in commands.ran)
