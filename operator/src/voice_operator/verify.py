"""Shows a person who made a VoiceRevision: its seal, the attempts of its stages, and its bundle in the object store."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from voice_operator.api.voice_revision import StageProof, VoiceRevisionSpec
from voice_operator.cluster.credentials import load_credentials
from voice_operator.cluster.kube import SECRETS, VOICE_REVISIONS, Kube, Object
from voice_operator.cluster.objects import revision_spec
from voice_operator.cluster.signing import key_from, public_key
from voice_operator.cluster.store import Store, open_store
from voice_operator.documents import Receipt
from voice_operator.errors import ClusterError, InvalidDocument, InvalidObject, NotFound, StoreError
from voice_operator.manifests.labels import SEAL
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import revision_uri, workspace_uri
from voice_operator.reconcile.proofs import CHAIN, STAGE_OF, digest_of_bytes
from voice_operator.reconcile.seals import spec_digest, statement
from voice_operator.settings import Settings
from voice_operator.signing import PublicKey, SigningKey, has_tag

NAME_WIDTH = 10
UNCHECKED_TAG = "; the receipt's tag was not checked: that needs the signing key"
MARKS = {True: "ok", False: "WRONG", None: "not checked"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``ok`` is None where it could not be checked."""

    name: str
    ok: bool | None
    message: str


@dataclass(frozen=True)
class Verdict:
    """All that was found about one VoiceRevision."""

    revision: str  # namespace/name
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong; what could not be checked counts for nothing."""
        return all(finding.ok is not False for finding in self.findings)

    def text(self) -> str:
        """Return the findings for a person."""
        lines = [f"{one.name:<{NAME_WIDTH}} {MARKS[one.ok]:<11} {one.message}" for one in self.findings]
        end = "nothing is wrong" if self.valid else "do not trust this revision"
        return "\n".join([f"VoiceRevision {self.revision}", *lines, end]) + "\n"

    def json(self) -> str:
        """Return the findings for a program."""
        findings = [asdict(one) for one in self.findings]
        return json.dumps({"revision": self.revision, "valid": self.valid, "findings": findings}, indent=1) + "\n"


async def verify(settings: Settings, namespace: str, name: str, public: PublicKey | None = None) -> Verdict:
    """Look at a VoiceRevision, its workspace and its bundle; nothing is written.

    Raises:
        OperatorError: there is no such VoiceRevision, it cannot be read, or there is no key to check it by.
    """
    kube, store = Kube(load_credentials, Metrics()), open_store(settings.storage.uri)
    try:
        item = await _revision(kube, namespace, name)
        private, key = await _keys(kube, settings, public)
        spec = revision_spec(item)
        findings = [_seal(item, spec, key)]
        findings += [finding async for finding in _results(item, spec, settings, store, private)]
        findings.append(await _bundle(namespace, spec, settings, store))
        return Verdict(f"{namespace}/{name}", tuple(findings))
    finally:
        await kube.close()
        store.close()


async def _revision(kube: Kube, namespace: str, name: str) -> Object:
    try:
        return await kube.get(VOICE_REVISIONS, namespace, name)
    except NotFound as error:
        raise InvalidObject(
            f"there is no VoiceRevision {name} in the namespace {namespace}; kubectl get vrev -A lists all"
        ) from error


async def _keys(kube: Kube, settings: Settings, given: PublicKey | None) -> tuple[SigningKey | None, PublicKey]:
    """Return the signing key, where this person may read it, and the public key."""
    if given is not None:
        return None, given
    where = settings.namespace, settings.signing_key_secret
    try:
        private = key_from(await kube.get(SECRETS, *where))
    except ClusterError:
        return None, await public_key(kube, *where)
    return private, private.public


def _seal(item: Object, spec: VoiceRevisionSpec, key: PublicKey) -> Finding:
    metadata = item["metadata"]
    seal = (metadata.get("annotations") or {}).get(SEAL)
    if not seal:
        return Finding("seal", ok=False, message=f"there is none (annotation {SEAL}): it is not served")
    signed = statement(
        voice=f"{metadata['namespace']}/{spec.voice_model}",
        revision=metadata["name"],
        digest=spec.artifacts.digest,
        spec=spec_digest(spec),
    )
    if not key.verifies(signed, str(seal)):
        return Finding("seal", ok=False, message=f"not by the key {key.text}, or not of this object: it is not served")
    return Finding("seal", ok=True, message=f"by the key {key.text}")


async def _results(
    item: Object, spec: VoiceRevisionSpec, settings: Settings, store: Store, key: SigningKey | None
) -> AsyncIterator[Finding]:
    if not spec.provenance:
        yield Finding("stages", ok=None, message="it was published before there were receipts")
        return
    namespace = item["metadata"]["namespace"]
    parts = (settings.storage.uri, namespace, spec.voice_model, spec.input_hash)
    uids = [str(owner.get("uid")) for owner in item["metadata"].get("ownerReferences") or ()]
    uids.append(await _uid_in_bundle(store, revision_uri(*parts)))
    recorded = {one.stage: one for one in spec.provenance}
    for folder in CHAIN:
        if folder not in recorded:
            yield Finding(folder, ok=False, message="the revision does not say who made it")
            continue
        uri = f"{workspace_uri(*parts)}/{folder}"
        try:
            manifest, receipt = await store.read(f"{uri}/manifest.json"), await store.read(f"{uri}/receipt.json")
        except StoreError as error:
            yield Finding(folder, ok=None, message=str(error))
            continue
        attempt = STAGE_OF[folder], recorded[folder].attempt
        keys = [key.attempt_key(uid, spec.input_hash, *attempt) for uid in uids] if key else []
        yield _result(recorded[folder], manifest, receipt, keys)


def _result(recorded: StageProof, manifest: bytes | None, receipt: bytes | None, keys: list[bytes]) -> Finding:
    name, made = recorded.stage, f"Job {recorded.job}, attempt {recorded.attempt}, {recorded.manifest}"
    if manifest is None:
        return Finding(name, ok=None, message=f"{made}; the result itself is no longer in the object store")
    if digest_of_bytes(manifest) != recorded.manifest:
        return Finding(name, ok=False, message=f"{made}; the object store has {digest_of_bytes(manifest)}")
    if not recorded.attempt:
        return Finding(name, ok=None, message=f"{recorded.manifest}; it was made before there were receipts")
    why = _receipt_problem(recorded, receipt, keys)
    return Finding(name, ok=not why, message=f"{made}{why or ('' if keys else UNCHECKED_TAG)}")


def _receipt_problem(recorded: StageProof, receipt: bytes | None, keys: list[bytes]) -> str:
    """Return what is wrong with the receipt of a result, as the end of a sentence; empty: nothing."""
    try:
        document: Any = json.loads(receipt or b"")
        found = Receipt.read(receipt or b"", "receipt.json")
    except (ValueError, InvalidDocument):
        return "; its receipt is missing or unreadable"
    expected = (recorded.stage, recorded.job, recorded.attempt, recorded.manifest)
    if (found.stage, found.job, found.attempt, found.manifest) != expected:
        return f"; its receipt is of Job {found.job}, {found.manifest}"
    if keys and not any(has_tag(document, key) for key in keys):
        return "; the receipt's tag is not by a key of this installation"
    return ""


async def _uid_in_bundle(store: Store, uri: str) -> str:
    """Return the UID that the voice had when it was trained: a restored backup gives every object another one."""
    try:
        document: Any = json.loads(await store.read(f"{uri}/voice.json") or b"{}")
        return str(document["voice"]["uid"])
    except (StoreError, ValueError, KeyError, TypeError):
        return ""


async def _bundle(namespace: str, spec: VoiceRevisionSpec, settings: Settings, store: Store) -> Finding:
    uri = revision_uri(settings.storage.uri, namespace, spec.voice_model, spec.input_hash)
    try:
        manifest = await store.read(f"{uri}/manifest.json")
    except StoreError as error:
        return Finding("bundle", ok=None, message=str(error))
    if manifest is None:
        return Finding("bundle", ok=False, message=f"{uri} is gone; servers cannot load it any more")
    found = digest_of_bytes(manifest)
    if found != spec.artifacts.digest:
        return Finding("bundle", ok=False, message=f"{uri} has {found}, recorded is {spec.artifacts.digest}")
    return Finding("bundle", ok=True, message=f"{uri}, {found}")
