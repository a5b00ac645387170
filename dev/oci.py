"""Container images as OCI layout folders: made from programs, and handed to a containerd without repeating blobs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dev.errors import DevError
from dev.terminal import run, run_long

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
# Not worth a second copy on disk above this size.
SHARE_BLOBS_FROM_BYTES = 1 << 20


@dataclass(frozen=True)
class Store:
    """One containerd's images, as its kubelet sees them."""

    name: str
    socket: Path
    content: Path
    log: Path

    def images(self) -> set[str]:
        """The names of its images."""
        return set(self.ctr("images", "ls", "--quiet").split())

    def blobs(self) -> set[str]:
        """The digests of everything it holds."""
        return set(self.ctr("content", "ls", "--quiet").split())

    def ctr(self, *arguments: str) -> str:
        """Run containerd's own client."""
        return run(self.command(*arguments), remedy="python3 -m dev.cluster up")

    def command(self, *arguments: str) -> list[str]:
        """A command for containerd's own client."""
        return ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments]

    def load(self, layout: Path, tag: str, image: str) -> int:
        """Import a tagged image under this name; only blobs that are missing travel. Returns how many bytes did."""
        manifest = find_manifest(layout, tag)
        present = self.blobs()
        missing = [entry for entry in blobs_of(layout, manifest) if entry["digest"] not in present]

        def feed(pipe: IO[bytes]) -> None:
            write_archive(pipe, layout, manifest, image, missing)

        run_long(self.command("images", "import", "-"), feed=feed, log=self.log)
        share_blobs(layout, self.content, [entry["digest"] for entry in blobs_of(layout, manifest)])
        return sum(int(entry["size"]) for entry in missing)


def blob(layout: Path, digest: str) -> Path:
    """Where a layout folder keeps a blob."""
    algorithm, _, value = digest.partition(":")
    return layout / "blobs" / algorithm / value


def find_manifest(layout: Path, tag: str) -> dict[str, Any]:
    """The descriptor of the manifest with this tag."""
    index = json.loads((layout / "index.json").read_text())
    for entry in index["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return dict(entry)
    raise DevError(f"{layout} holds no image tagged {tag}", remedy="python3 -m dev.images build")


def blobs_of(layout: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything one image consists of: its manifest, its configuration and its layers."""
    document = json.loads(blob(layout, manifest["digest"]).read_text())
    return [dict(manifest), document["config"], *document["layers"]]


def write_archive(
    pipe: IO[bytes], layout: Path, manifest: Mapping[str, Any], image: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    """Stream an OCI archive that holds the image's name and some of its blobs."""
    named = {key: manifest[key] for key in ("mediaType", "digest", "size")}
    named["annotations"] = {"io.containerd.image.name": image, "org.opencontainers.image.ref.name": image}
    with tarfile.open(fileobj=pipe, mode="w|", bufsize=1 << 20) as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
        add(archive, "index.json", json.dumps(index).encode())
        for digest in dict.fromkeys(str(entry["digest"]) for entry in entries):
            path = blob(layout, digest)
            name = str(path.relative_to(layout))
            with path.open("rb") as content:
                archive.addfile(header(name, path.stat().st_size), content)


def share_blobs(layout: Path, content: Path, digests: Sequence[str]) -> None:
    """Keep one copy of each big blob: blobs are named by their content and never change, so a hard link is as good."""
    for digest in digests:
        ours, theirs = blob(layout, digest), blob(content, digest)
        try:
            if theirs.stat().st_size < SHARE_BLOBS_FROM_BYTES or theirs.samefile(ours):
                continue
            linked = theirs.with_name(f".{theirs.name}.link")
            linked.unlink(missing_ok=True)
            os.link(ours, linked)
            linked.replace(theirs)
        except OSError:
            return  # another file system, or folders of another containerd: two copies then


def program_image(layout: Path, tag: str, program: Path, files: Mapping[str, bytes]) -> None:
    """Write an image that holds one static program and perhaps a few small files, nothing else."""
    layers = [store(layout, layer(program, files))]
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": ["/" + tag.partition(":")[0]]},
        "rootfs": {"type": "layers", "diff_ids": [entry["digest"] for entry in layers]},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **store(layout, json.dumps(config).encode())},
        "layers": [{"mediaType": LAYER, **entry} for entry in layers],
    }
    manifest = {"mediaType": MANIFEST, **store(layout, json.dumps(document).encode())}
    manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))


def layer(program: Path, files: Mapping[str, bytes]) -> bytes:
    """One layer, as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        add(archive, program.name.rpartition("-v")[0] or program.name, program.read_bytes(), mode=0o755)
        for name, content in files.items():
            add(archive, name, content)
    return buffer.getvalue()


def store(layout: Path, content: bytes) -> dict[str, Any]:
    """Add a blob to a layout folder; return its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    path = layout / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a small file to an archive."""
    archive.addfile(header(name, len(content), mode), io.BytesIO(content))


def header(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    """Name, size and mode, and no date: the same content is always the same layer."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry


def architecture() -> str:
    """This machine, in the words of container images."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


@contextmanager
def layers_by_uncompressed_name(layout: Path, tag: str) -> Iterator[None]:
    """Let buildah find layers that the folder has, so that it does not compress gigabytes again to learn so.

    It looks for a layer by the digest of its uncompressed content, but the folder keeps the compressed one. Meanwhile,
    an empty file by the name it looks for says that the layer is here; afterwards the manifest of the new image names
    the real one.
    """
    for left_over in [file for file in (layout / "blobs").glob("*/*") if not file.stat().st_size]:
        left_over.unlink()  # of an export that was killed
    known = {name: entry for name, entry in compressed_layers(layout).items() if not blob(layout, name).exists()}
    for name in known:
        blob(layout, name).touch()
    try:
        yield
        name_real_layers(layout, tag, known)
    finally:
        for name in known:
            blob(layout, name).unlink(missing_ok=True)


def compressed_layers(layout: Path) -> dict[str, dict[str, Any]]:
    """The layers in the folder, by the digest of their uncompressed content."""
    known: dict[str, dict[str, Any]] = {}
    index = layout / "index.json"
    for manifest in json.loads(index.read_text())["manifests"] if index.exists() else []:
        _, config, *layers = blobs_of(layout, manifest)
        names = json.loads(blob(layout, config["digest"]).read_text())["rootfs"]["diff_ids"]
        for name, entry in zip(names, layers, strict=True):
            file = blob(layout, entry["digest"])
            if file.exists() and file.stat().st_size == entry["size"]:
                known[name] = entry
    return known


def name_real_layers(layout: Path, tag: str, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Rewrite the manifest of the image with this tag, and the index that points to it."""
    before = find_manifest(layout, tag)
    document = json.loads(blob(layout, before["digest"]).read_text())
    document["layers"] = [dict(known.get(entry["digest"], entry)) for entry in document["layers"]]
    index = json.loads((layout / "index.json").read_text())
    replacement = {**before, **store(layout, json.dumps(document).encode())}
    index["manifests"] = [replacement if entry == before else entry for entry in index["manifests"]]
    (layout / "index.json").write_text(json.dumps(index))


def drop_other_tags(layout: Path, keep: Sequence[str]) -> None:
    """Forget images that are no longer wanted, and delete the blobs that only they used."""
    path = layout / "index.json"
    if not path.exists():
        return
    index = json.loads(path.read_text())
    index["manifests"] = [
        entry
        for entry in index["manifests"]
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") in keep
    ]
    path.write_text(json.dumps(index))
    wanted = {entry["digest"] for manifest in index["manifests"] for entry in blobs_of(layout, manifest)}
    for file in unwanted(layout, wanted):
        file.unlink()


def unwanted(layout: Path, wanted: set[str]) -> Iterator[Path]:
    """Blobs that no image names."""
    for file in (layout / "blobs").glob("*/*"):
        if f"{file.parent.name}:{file.name}" not in wanted:
            yield file
