"""Programs, cluster and images, made side by side: an image build waits for the network while Go compiles."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.cluster.settings import MAIN_NODE
from dev.demo.commands import Commands
from dev.demo.kubectl import Kubectl
from dev.stopwatch import Stopwatch

CLUSTER_SECONDS = 3600.0
"""How long loading an image waits for a container runtime; only a cluster that fails takes longer than a minute."""


@dataclass(frozen=True)
class Prepared:
    """The inputs of the chart's installation."""

    kubectl: Kubectl
    helm: Path
    images: dict[str, str]
    """References by the names of the chart's values."""
    on_every_node: Future[str]
    """The trainer's image in the second node, which no pod needs before the recordings have been accepted."""


@contextmanager
def prepared(watch: Stopwatch) -> Iterator[Prepared]:
    """Give a cluster with the images on its first node; the second node's image goes on loading within the block.

    Raises:
        DevError: a build or the cluster failed; the others are ended then.
    """
    # The pool outside, the commands inside: on the way out the commands are ended first, and no thread waits for long.
    with ThreadPoolExecutor(max_workers=2) as pool, Commands() as commands:
        cluster = pool.submit(_cluster, commands, watch)
        images = pool.submit(_images, commands, watch)
        both: list[Future[Any]] = [cluster, images]
        done, _ = wait(both, return_when=FIRST_EXCEPTION)
        for finished in done:
            finished.result()
        kubeconfig, helm = cluster.result()
        rest = pool.submit(_load_everywhere, commands, watch)
        yield Prepared(Kubectl(kubeconfig), helm, images.result(), rest)
        rest.result()


def _cluster(commands: Commands, watch: Stopwatch) -> tuple[Path, Path]:
    """Return the kubeconfig and the path of helm."""
    with watch.step("cluster", "cluster"):
        commands.run("cluster", "up")
        kubeconfig = os.environ.get("KUBECONFIG") or commands.run("cluster", "kubeconfig")
    with watch.step("helm"):
        helm = commands.run("tool", "helm")
    return Path(kubeconfig), Path(helm)


def _images(commands: Commands, watch: Stopwatch) -> dict[str, str]:
    with watch.step("images", "images"):
        waiting = ["--wait", str(CLUSTER_SECONDS), "--node", MAIN_NODE.name]
        images: dict[str, str] = json.loads(commands.run("images", "load", "all", *waiting))
    return images


def _load_everywhere(commands: Commands, watch: Stopwatch) -> str:
    if os.environ.get("CLUSTER") == "existing":
        return ""  # its nodes pull from the registry
    with watch.step("image on second node"):
        return commands.run("images", "load", "trainer")
