"""The signing key's Secret, and which VoiceRevisions are sealed by it."""

import asyncio
import base64
import binascii
import contextlib
import logging

from voice_operator.api.voice_status import Artifacts
from voice_operator.cluster.caches import Caches, Revision
from voice_operator.cluster.kube import CONFIG_MAPS, SECRETS, Kube, Object
from voice_operator.cluster.objects import revision_spec
from voice_operator.cluster.workspace import Memo
from voice_operator.errors import ClusterError, Conflict, InvalidObject, NotFound
from voice_operator.manifests.labels import SEAL
from voice_operator.manifests.signing_key import PRIVATE, PUBLIC, private_secret, public_config_map
from voice_operator.reconcile.seals import SealedRevision, spec_digest, statement
from voice_operator.reconcile.times import parse
from voice_operator.signing import PublicKey, SigningKey, new_key

RETRY_SECONDS = 5.0
AT_A_TIME = 50  # about 10 ms

log = logging.getLogger(__name__)


class Signing:
    """The key, once it is read, and what it says of revisions; a verdict is remembered while the object is the same."""

    def __init__(self, caches: Caches, key: SigningKey | None = None) -> None:
        self._caches = caches
        self._key = key
        self._lock = asyncio.Lock()
        self.proofs: Memo = {}
        self._known: dict[tuple[str, str], tuple[bytes, SealedRevision | None]] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether the key has been read."""
        return self._key is not None

    @property
    def key(self) -> SigningKey:
        """The key.

        Raises:
            InvalidObject: it has not been read yet.
        """
        if self._key is None:
            raise InvalidObject("the signing key has not been read yet")
        return self._key

    async def load(self, kube: Kube, namespace: str, name: str) -> None:
        """Read the key, or make it; tries until it is there, because nothing may be served without."""
        async with self._lock:
            while self._key is None:
                try:
                    key = await signing_key(kube, namespace, name)
                    await _publish(key.public, kube, namespace, name)
                    self._key = key
                except (ClusterError, InvalidObject) as error:
                    log.error("the signing key, Secret %s/%s: %s; tried again", namespace, name, error)  # noqa: TRY400 -- expected
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    await self.verify_all()

    async def verify_all(self) -> None:
        """Verify what the caches hold, a few at a time: the first list would else take seconds of the event loop."""
        for number, key in enumerate(self._caches.revisions):
            self.sealed(*key)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def sealed(self, namespace: str, name: str) -> SealedRevision | None:
        """Return what is sealed of a VoiceRevision; None: there is none, or it is not the operator's."""
        found = self._caches.revisions.get(namespace, name)
        return None if found is None else self._verdict((namespace, name), found)

    def sealed_artifacts(self, voice: str, artifacts: Artifacts) -> SealedRevision | None:
        """Return the sealed revision of a voice (namespace/name) that a status names, by name or else by digest."""
        namespace, _, name = voice.partition("/")
        if artifacts.revision:
            found = self.sealed(namespace, artifacts.revision)
            return found if found is not None and found.voice == voice else None
        names = (item["metadata"]["name"] for item in self._caches.revisions_of(namespace, name))
        sealed = (self.sealed(namespace, revision) for revision in names)
        return next((one for one in sealed if one is not None and one.digest == artifacts.digest), None)

    def _verdict(self, key: tuple[str, str], revision: Revision) -> SealedRevision | None:
        known = self._known.get(key)
        if known is None or known[0] is not revision.packed:
            item = self._caches.revision(*key)
            known = revision.packed, None if item is None else sealed_revision(item, self.key)
            self._known[key] = known
        return known[1]


def sealed_revision(item: Object, key: SigningKey) -> SealedRevision | None:
    """Return what is sealed of a VoiceRevision; None: it is not the operator's and must not be served.

    One that is older than the key has no valid seal and gets it now. Its age is the API server's word, which no user
    can change.
    """
    try:
        spec = revision_spec(item)
    except InvalidObject:
        return None
    metadata = item["metadata"]
    voice, digest = f"{metadata['namespace']}/{spec.voice_model}", spec_digest(spec)
    signed = statement(voice=voice, revision=metadata["name"], digest=spec.artifacts.digest, spec=digest)
    seal = str((metadata.get("annotations") or {}).get(SEAL, ""))
    annotated = bool(seal) and key.public.verifies(signed, seal)
    if not annotated:
        created = metadata.get("creationTimestamp")
        if not created or parse(created) >= key.since:
            return None
        seal = key.sign(signed)
    return SealedRevision(
        voice=voice,
        revision=metadata["name"],
        input_hash=spec.input_hash,
        digest=spec.artifacts.digest,
        base=spec.base,
        spec_digest=digest,
        seal=seal,
        annotated=annotated,
    )


async def signing_key(kube: Kube, namespace: str, name: str) -> SigningKey:
    """Return the installation's key; of several replicas that find none, the first to write makes it.

    Raises:
        InvalidObject: the Secret holds no key.
        ClusterError: the API server failed, or refuses.
    """
    try:
        return key_from(await kube.get(SECRETS, namespace, name))
    except NotFound:
        pass
    try:
        return key_from(await kube.create(SECRETS, private_secret(namespace, name, new_key())))
    except Conflict:
        return key_from(await kube.get(SECRETS, namespace, name))


def key_from(secret: Object) -> SigningKey:
    """Read the Secret.

    Raises:
        InvalidObject: it holds no key.
    """
    try:
        pem = base64.b64decode((secret.get("data") or {}).get(PRIVATE, ""), validate=True)
    except binascii.Error as error:
        raise InvalidObject(f"data[{PRIVATE!r}] is no base64") from error
    try:
        return SigningKey(pem, parse(secret["metadata"]["creationTimestamp"]))
    except InvalidObject as error:
        raise InvalidObject(f"data[{PRIVATE!r}]: {error}; restore the Secret, or delete it for a new key") from error


async def public_key(kube: Kube, namespace: str, name: str) -> PublicKey:
    """Return the public half, from the ConfigMap that anybody may read.

    Raises:
        InvalidObject: it holds no key.
        ClusterError: the API server failed, or refuses.
    """
    found = await kube.get(CONFIG_MAPS, namespace, name)
    return PublicKey(str((found.get("data") or {}).get(PUBLIC, "")))


async def _publish(key: PublicKey, kube: Kube, namespace: str, name: str) -> None:
    """Write the public half where anybody may read it, unless it is there."""
    with contextlib.suppress(NotFound):
        if ((await kube.get(CONFIG_MAPS, namespace, name)).get("data") or {}).get(PUBLIC) == key.text:
            return
    await kube.apply(CONFIG_MAPS, public_config_map(namespace, name, key.text))
