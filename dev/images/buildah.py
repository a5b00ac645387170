"""buildah, as we use it: no daemon, no namespaces it may not have, an image store of its own in the cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev import oci
from dev.paths import cache
from dev.terminal import run, run_long, step

ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot"}
# Programs read the machine's trusted certificates from one of these, in this order.
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
MOUNTED = "/run/build-machine"


def command(*arguments: str | Path) -> list[str]:
    """A buildah command on our own store."""
    home = cache() / "containers"
    # Its run folder tells which images are mounted, and must not outlive a restart of the machine.
    run_folder = Path("/run/voice-operator-images") if os.geteuid() == 0 else home / "run"
    store = ["--root", str(home / "storage"), "--runroot", str(run_folder), "--storage-driver", "overlay"]
    # Or the store would stay mounted on itself after the command has ended.
    store += ["--storage-opt", "overlay.skip_mount_home=true"]
    return ["buildah", *store, *map(str, arguments)]


def exists(image: str) -> bool:
    """Whether our store has the image."""
    if not (cache() / "containers" / "storage").exists():
        return False
    return bool(run(command("images", "--quiet", image), env=ENVIRONMENT, check=False).strip())


def tags(repository: str) -> list[str]:
    """Every image of ours in this repository, by full name."""
    listed = run(command("images", "--format", "{{.Name}}:{{.Tag}}"), env=ENVIRONMENT, check=False)
    return [line for line in listed.splitlines() if line.startswith(f"localhost/{repository}:")]


def import_rootfs(archive: Path, name: str) -> None:
    """Make an image of a root file system."""
    with step(f"importing {archive.name}", "10 s"):
        container = run(command("from", "scratch"), env=ENVIRONMENT).strip()
        try:
            run(command("add", "--quiet", container, archive, "/"), env=ENVIRONMENT)
            run(command("config", "--cmd", "python3", "--env", "LANG=C.UTF-8", container), env=ENVIRONMENT)
            run(command("commit", "--quiet", container, name), env=ENVIRONMENT)
        finally:
            run(command("rm", container), env=ENVIRONMENT, check=False)


def build(context: Path, dockerfile: str, name: str, arguments: Mapping[str, str], log: Path) -> None:
    """Build an image; the machine's certificates and package index are mounted during the build and not kept."""
    mounted = write_machine_settings(cache() / "containers" / "mounted")
    words: list[str | Path] = ["bud", "--layers", "--force-rm", "--network", "host", "--format", "oci", "--pull-never"]
    words += ["--volume", f"{mounted}:{MOUNTED}:ro", "--file", context / dockerfile, "--tag", name]
    values = {**arguments, "PIP_CONFIG_FILE": f"{MOUNTED}/pip.conf", "UV_CONFIG_FILE": f"{MOUNTED}/uv.toml"}
    if (mounted / "ca.crt").exists():
        values["SSL_CERT_FILE"] = f"{MOUNTED}/ca.crt"
    for key, value in values.items():
        words += ["--build-arg", f"{key}={value}"]
    run_long(
        command(*words, context),
        env=ENVIRONMENT,
        log=log,
        remedy="the log says which step failed; finished layers are kept",
    )


def write_machine_settings(folder: Path) -> Path:
    """Write the files that pip and uv need to reach the package index from this machine; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT") or ""
    bundle = next((Path(path) for path in (wanted, *CERTIFICATES) if path and Path(path).is_file()), None)
    pip, uv = ["[global]"], ["no-cache = true"]
    if bundle:
        (folder / "ca.crt").write_bytes(bundle.read_bytes())
        pip.append(f"cert = {MOUNTED}/ca.crt")
    if index := package_index():
        pip.append(f"index-url = {index}")
        uv += ["[[index]]", f'url = "{index}"', "default = true"]
    (folder / "pip.conf").write_text("\n".join(pip) + "\n")
    (folder / "uv.toml").write_text("\n".join(uv) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def package_index() -> str:
    """The package index that pip is configured to use, empty for PyPI."""
    for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name]
    return run(["python3", "-m", "pip", "config", "get", "global.index-url"], check=False).strip()


def export(name: str, layout: Path, tag: str, log: Path) -> None:
    """Write an image to an OCI layout folder; layers that lie there already are neither read nor written again."""
    layout.mkdir(parents=True, exist_ok=True)
    # This kind of folder insists on compression; gzip would take minutes for torch, and again on every node.
    fast = ("--compression-format", "zstd", "--compression-level", "1")
    with oci.layers_by_uncompressed_name(layout, tag):
        run_long(command("push", *fast, name, f"oci:{layout}:{tag}"), env=ENVIRONMENT, log=log)


def pull(name: str, log: Path) -> None:
    """Fetch an image from a registry into our store; one named by digest is checked against it."""
    with step(f"pulling {name}"):
        remedy = "check the name and that its registry answers, or unset PYTHON_IMAGE"
        run_long(command("pull", name), env=ENVIRONMENT, log=log, remedy=remedy)


def push(name: str, destination: str, log: Path) -> str:
    """Upload an image to a registry; return the digest that it has there."""
    remedy = f"sign in with `buildah login {destination.partition('/')[0]}` and check IMAGE_REGISTRY"
    with tempfile.NamedTemporaryFile("r", prefix="digest-") as digest:
        words = ("push", "--digestfile", digest.name, name, f"docker://{destination}")
        run_long(command(*words), env=ENVIRONMENT, log=log, remedy=remedy)
        return digest.read().strip()


def python_inside(name: str, code: str) -> str:
    """Run Python code inside a finished image, as the image's own Python; return what it prints."""
    container = run(command("from", "--pull-never", name), env=ENVIRONMENT).strip()
    try:
        words = command("run", "--user", "0:0", container, "--", "/app/.venv/bin/python", "-I", "-B", "-c", code)
        return run(words, env=ENVIRONMENT)
    finally:
        run(command("rm", container), env=ENVIRONMENT, check=False)


def config_digest(name: str) -> str:
    """The digest of an image's configuration, which stays the same wherever the image is pushed to."""
    return f"sha256:{run(command('inspect', '--type', 'image', '--format', '{{.FromImageID}}', name)).strip()}"


def version() -> str:
    """What `buildah --version` prints."""
    return run(["buildah", "--version"]).strip()


def remove(names: Sequence[str]) -> None:
    """Forget images; layers that others use stay."""
    if names:
        run(command("rmi", *names), env=ENVIRONMENT, check=False)


def cleanup() -> None:
    """Remove containers and mounts of an interrupted build; only while no other build runs."""
    run(command("rm", "--all"), env=ENVIRONMENT, check=False)
    storage = cache() / "containers" / "storage"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if Path(p).is_relative_to(storage)), key=len, reverse=True):
        run(["umount", point], check=False)
