"""From a folder to a VoiceModel: check, ask the API server, upload, apply; each step may be repeated."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from voice_cli.api import REQUESTED_BY, VOICE, Object
from voice_cli.dataset import Dataset, Uploaded, dataset_of, folder_uri, upload
from voice_cli.errors import CliError, FieldConflict, NotFound, UsageError
from voice_cli.git import Origin, Repository
from voice_cli.installation import CONFIG_FILE, OPERATOR_LABELS, recordings_prefix
from voice_cli.kubectl import Kubectl
from voice_cli.voice_folder import VoiceFolder, read_folder


@dataclass(frozen=True)
class PushOptions:
    """How folders are pushed."""

    datasets: str = ""  # prefix of the recordings; empty: that of voice.yaml, else of the installation
    dry_run: bool = False
    again: bool = False
    force: bool = False


@dataclass(frozen=True)
class Caller:
    """Who pushes, and into which namespace where voice.yaml names none; asked once for all folders."""

    person: str
    namespace: str

    @classmethod
    def of(cls, kubectl: Kubectl) -> "Caller":
        """Ask kubectl."""
        return cls(kubectl.whoami(), kubectl.namespace())


@dataclass(frozen=True)
class Prepared:
    """A folder that was checked, and the manifest that will be applied."""

    folder: VoiceFolder
    namespace: str
    dataset: Dataset
    uri: str
    origin: Origin
    manifest: Object = field(repr=False)


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    voice: str
    namespace: str
    digest: str
    uploaded: Uploaded | None  # None: a dry run
    origin: Origin
    applied: Object
    pinned: str = ""  # a revision that somebody pinned: nothing is trained


def prepare(path: Path, kubectl: Kubectl, caller: Caller, options: PushOptions) -> Prepared:
    """Read and check a folder, and make the manifest; nothing is written anywhere.

    Raises:
        FolderRefused: the folder must change.
        UsageError: nobody says where recordings go.
    """
    folder = read_folder(path)
    repository = Repository.around(path)
    origin = Origin() if repository is None else repository.origin_of(path)
    namespace = str((folder.manifest.get("metadata") or {}).get("namespace") or "") or caller.namespace
    if kubectl.given_namespace and namespace != kubectl.given_namespace:
        raise UsageError(
            f"{path}/voice.yaml has the namespace {namespace!r}, not {kubectl.given_namespace!r}; leave one of them out"
        )
    dataset = dataset_of(path, folder.files)
    prefix = _prefix(folder, namespace, kubectl, options)
    uri = folder_uri(prefix, namespace, folder.name, dataset.digest)
    pinned = {"uri": uri, "digest": dataset.digest}
    manifest = manifest_for(folder, namespace, pinned, origin, caller.person)
    return Prepared(folder, namespace, dataset, uri, origin, manifest)


def push(
    prepared: Prepared, kubectl: Kubectl, options: PushOptions, told: Callable[[int], None] = lambda _: None
) -> Pushed:
    """Ask the API server whether it would take the manifest, upload what is missing, and apply it.

    Raises:
        CliError: the API server refuses; nothing was uploaded then.
        StoreError: the upload failed; it goes on where it stopped when it is called again.
    """
    there = kubectl.within(prepared.namespace)
    applied = _applied(there, prepared.manifest, dry_run=True, force=options.force)
    uploaded = None
    if not options.dry_run:
        uploaded = upload(prepared.dataset, prepared.uri, again=options.again, told=told)
        applied = _applied(there, prepared.manifest, dry_run=False, force=options.force)
    return Pushed(
        voice=prepared.folder.name,
        namespace=prepared.namespace,
        digest=prepared.dataset.digest,
        uploaded=uploaded,
        origin=prepared.origin,
        applied=applied,
        pinned=str((applied["spec"].get("serving") or {}).get("pin") or ""),
    )


def _applied(there: Kubectl, manifest: Object, *, dry_run: bool, force: bool) -> Object:
    """Apply; who asks is always the caller, whoever asked before by another command, as by a rollback."""
    try:
        return there.apply(manifest, dry_run=dry_run, force=force)
    except FieldConflict as conflict:
        if not all(field.endswith(REQUESTED_BY) for field in conflict.fields):
            raise
        return there.apply(manifest, dry_run=dry_run, force=True)


def manifest_for(folder: VoiceFolder, namespace: str, dataset: Object, origin: Origin, person: str | None) -> Object:
    """Return the VoiceModel of a folder, with everything filled in that nobody should write by hand; pure.

    Args:
        folder: what was read.
        namespace: of the voice.
        dataset: uri and digest of the recordings.
        origin: what git knows.
        person: who applies it; None: nobody is named.
    """
    manifest = copy.deepcopy(folder.manifest)
    metadata: dict[str, Any] = dict(manifest.get("metadata") or {})
    annotations = {**(metadata.get("annotations") or {}), **({REQUESTED_BY: person} if person else {})}
    manifest["metadata"] = {**metadata, "name": folder.name, "namespace": namespace}
    if annotations:
        manifest["metadata"]["annotations"] = annotations
    spec = manifest["spec"]
    spec["dataset"] = {**(spec.get("dataset") or {}), **dataset}
    source = {**(spec.get("source") or {}), **origin.source()}
    if source:
        spec["source"] = source
    return manifest


def _prefix(folder: VoiceFolder, namespace: str, kubectl: Kubectl, options: PushOptions) -> str:
    """Return the prefix of recordings: as asked for, as voice.yaml says, as the installation allows."""
    written = str((folder.manifest["spec"].get("dataset") or {}).get("uri") or "")
    found = options.datasets or written or installed_prefix(kubectl, namespace)
    if not found:
        raise UsageError(
            "nobody says where recordings go: set VOICE_DATASETS or --datasets to a prefix of the object store such as "
            "s3://voices/datasets/{namespace}, or spec.dataset.uri in voice.yaml"
        )
    return found


def installed_prefix(kubectl: Kubectl, namespace: str) -> str:
    """Return the prefix that the operator's configuration allows to a namespace; empty: the caller may not read it."""
    with suppress(CliError, yaml.YAMLError, KeyError, TypeError):
        for one in kubectl.items("configmaps", labels=OPERATOR_LABELS, everywhere=True):
            config = yaml.safe_load((one.get("data") or {}).get(CONFIG_FILE) or "{}")
            if prefix := recordings_prefix(config, namespace):
                return prefix
    return ""


def ask_for_erasure(voice: str, kubectl: Kubectl, knows: Callable[[str], bool] = lambda _: True) -> str:
    """Ask the operator to erase a voice whose folder was deleted; return what was done.

    ``knows`` says whether a commit lies before the one that deleted the folder: of any other the folder is back.

    Raises:
        CliError: the caller may not, or the voice was pushed again.
    """
    try:
        found = kubectl.get(VOICE, voice)
    except NotFound:
        return "is not in the cluster"
    commit = str((found["spec"].get("source") or {}).get("commit") or "")
    if commit and not knows(commit):
        raise UsageError(f"nothing is erased: it was pushed again by commit {commit[:12]}, which is not an earlier one")
    change = {
        "metadata": {
            "annotations": {REQUESTED_BY: kubectl.whoami()},
            "resourceVersion": found["metadata"]["resourceVersion"],
        },
        "spec": {"consent": {"revoked": True, "erase": True}},
    }
    kubectl.patch(VOICE, voice, change)
    return "consent revoked, everything that was made of the recordings is being erased"
