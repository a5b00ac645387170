"""The command line: python3 -m dev.images build | load | refs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from dev import debian, oci
from dev.cluster import addons, node, settings
from dev.cluster.settings import GPU_NODE, MAIN_NODE
from dev.errors import DevError
from dev.images import base, buildah, debian_source, record
from dev.images.recipes import RECIPES, Recipe, Snapshot
from dev.paths import cache, default_state, exclusive_lock, shared_lock, try_exclusive_lock
from dev.terminal import main_of, say, step

DESCRIPTION = """\
Container images of operator, trainer and inference, without a container engine's daemon and without a registry.

  python3 -m dev.images build            build what changed and load it into the nodes of `python3 -m dev.cluster up`
  python3 -m dev.images build operator   only that one
  python3 -m dev.images refs             the names to put into manifests, as JSON

The tag is a hash of the files that go in: nothing changed, nothing to do. With CLUSTER=existing the images are pushed
to $IMAGE_REGISTRY instead, for example IMAGE_REGISTRY=registry.example.com/voice. PYTHON_IMAGE replaces the base image;
a release wants it by digest. DEBIAN_SNAPSHOT names another day of Debian's archive; empty, it takes today's mirror.
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python3 -m dev.images", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="build|load|refs")
    build = commands.add_parser("build", help="build, and load into the cluster when it is up")
    build.add_argument("--no-load", action="store_true", help="only build")
    load = commands.add_parser("load", help="load into the cluster, building first what was not built")
    load.add_argument("--node", choices=[MAIN_NODE.name, GPU_NODE.name], help="only into this node")
    load.add_argument(
        "--wait",
        type=float,
        default=0,
        metavar="SECONDS",
        help="wait so long for a cluster that is being started; its container runtimes are enough (default: 0)",
    )
    refs = commands.add_parser("refs", help="print the image names as JSON; builds nothing")
    for each in (build, load, refs):
        each.add_argument("image", nargs="?", choices=[*RECIPES, "all"], default="all", help="default: all")
    return top


def command() -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args()
    recipes = list(RECIPES.values()) if options.image == "all" else [RECIPES[options.image]]
    if options.command == "refs":
        images = [recipe.read() for recipe in recipes]
    else:
        images = [make(recipe, target_of(options)) for recipe in recipes]
    print(json.dumps({image.recipe.name: image.reference for image in images}, indent=2))
    return 0


@dataclass(frozen=True)
class Target:
    """Which nodes an image is loaded into, and whether it is an error that none of them is up."""

    node: str | None = None
    wait_seconds: float = 0
    required: bool = False


def target_of(options: argparse.Namespace) -> Target | None:
    """The target that the command line names; None: the images are only built."""
    if options.command == "load":
        return Target(options.node, options.wait, required=True)
    return None if options.no_load else Target()


def make(recipe: Recipe, target: Target | None) -> Snapshot:
    """Build one image and load it into the cluster; the files are read once nobody else builds it."""
    with exclusive_lock(cache() / "locks" / f"image-{recipe.name}", f"building or loading {recipe.name}"):
        image = recipe.read()
        build(image)
        if target is not None:
            load_image(image, target)
        return image


def build(image: Snapshot) -> None:
    """Build the image, unless one with the same files exists."""
    debian.ensure(debian.IMAGES)
    if buildah.exists(image.built_name) and record.exists(image):
        return
    started = datetime.now(UTC)
    recipe = image.recipe
    python = base.ensure()
    context = cache() / "containers" / "contexts" / recipe.name
    image.stage(context)
    store = cache() / "locks" / "image-store"
    with shared_lock(store), step(f"building {image.built_name}", recipe.usually):
        log = cache() / "logs" / f"image-{recipe.name}.log"
        buildah.build(context, recipe.dockerfile, image.built_name, build_arguments(python), log)
        record.write(image, started=started, finished=datetime.now(UTC))
    with try_exclusive_lock(store) as alone:
        # Other builds fail when a layer that they were about to look up vanishes; the next build removes it then.
        if alone:
            buildah.cleanup()
            record.prune(image)
            buildah.remove([old for old in buildah.tags(recipe.repository) if old != image.built_name])


def build_arguments(python: str) -> dict[str, str]:
    """What the Dockerfiles are told. A base made here names Debian's sources itself; another one is told the day."""
    if not os.environ.get("PYTHON_IMAGE"):
        return {"PYTHON_IMAGE": python}
    return {"PYTHON_IMAGE": python, "DEBIAN_SNAPSHOT": debian_source.chosen()}


def load_image(image: Snapshot, target: Target) -> None:
    """Load the image into the cluster: through a registry that it pulls from, or straight into its nodes."""
    recipe = image.recipe
    log = cache() / "logs" / f"push-{recipe.name}.log"
    if os.environ.get("CLUSTER") == "existing":
        if not os.environ.get("IMAGE_REGISTRY"):
            raise DevError(
                "CLUSTER=existing needs IMAGE_REGISTRY", remedy="export IMAGE_REGISTRY=registry.example.com/voice"
            )
        with step(f"pushing {image.reference}"):
            digest = buildah.push(image.built_name, image.reference, log)
        record.write_pushed(image, image.reference, digest)
        say(f"  {image.reference}@{digest}")
        return
    stores = running_stores(recipe, target.node)
    deadline = time.monotonic() + target.wait_seconds
    while not stores and time.monotonic() < deadline:
        time.sleep(1)
        stores = running_stores(recipe, target.node)
    if target.required and not stores:
        raise DevError("no cluster with nodes is up", remedy="python3 -m dev.cluster up")
    lacking = [store for store in stores if image.node_name not in store.images()]
    if not lacking:
        return
    layout = cache() / "containers" / "layouts" / recipe.name
    with step(f"exporting {recipe.name}", "a minute for a new trainer, else seconds"):
        buildah.export(image.built_name, layout, image.tag, log)
        oci.drop_other_tags(layout, keep=[image.tag])
    for store in lacking:
        with step(f"loading {image.node_name} into {store.name}", "a minute or two for a new trainer, else seconds"):
            sent = store.load(layout, image.tag, image.node_name)
            say(f"  {sent / 1e6:.0f} MB were new to it")


def running_stores(recipe: Recipe, node_name: str | None) -> list[oci.Store]:
    """The image stores of those nodes that run this image and are up; only of one node if it is named."""
    cluster = settings.load(default_state())
    wanted = set(recipe.nodes) & ({node_name} if node_name else set(recipe.nodes))
    nodes = [each for each in cluster.nodes if each.name in wanted] if cluster else []
    return [addons.image_store(cluster, each) for each in nodes if cluster and node.runtime_answers(cluster, each)]


if __name__ == "__main__":
    sys.exit(main_of(command))
