"""Asks the inference pods which voices they have loaded; answers are cached for FRESH_SECONDS."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from voice_operator.cluster.answers import read_bounded
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import Object
from voice_operator.cluster.pod_trust import PodTrust
from voice_operator.cluster.signing import Signing
from voice_operator.documents import VoiceReport, VoicesReport
from voice_operator.errors import AnswerTooLarge, InvalidDocument, InvalidSettings
from voice_operator.manifests.labels import LIST_GENERATION
from voice_operator.manifests.server import CONTAINER, SERVICE_PORTS, host
from voice_operator.masking import masked
from voice_operator.reconcile.observed import LoadedVoice, PodVoices
from voice_operator.signing import authorization

FRESH_SECONDS = 0.5
TIMEOUT_SECONDS = 3.0
MAX_ANSWER_BYTES = 16 << 20
PATH = "/v1/voices"
MAX_DIGITS = 19  # of a generation


@dataclass
class _Answer:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pods: tuple[PodVoices, ...] = ()
    fetched_at: float = float("-inf")


class Inference:
    """The pods of all VoiceServers."""

    def __init__(self, caches: Caches, signing: Signing | None = None, trust: PodTrust | None = None) -> None:
        """Take the caches, the key by which pods know the operator (without it only open servers answer), and trust."""
        self._caches = caches
        self._trust = trust or PodTrust()
        self._signing = signing
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._session: aiohttp.ClientSession | None = None

    async def pods(self, namespace: str, name: str) -> tuple[PodVoices, ...]:
        """Return the pods of a VoiceServer and their loaded voices; a pod that does not answer has none.

        A pod that is being deleted is asked too, for what it was asked for; it is not ready, whatever it says.
        """
        answer = self._answers.setdefault((namespace, name), _Answer())
        async with answer.lock:
            if time.monotonic() - answer.fetched_at > FRESH_SECONDS:
                items = self._caches.pods_of_server(namespace, name)
                answer.pods = tuple(await asyncio.gather(*(self._query(item, host(namespace, name)) for item in items)))
                answer.fetched_at = time.monotonic()
            return answer.pods

    def evict(self, namespace: str, name: str) -> None:
        """Drop the cached answer of a deleted VoiceServer."""
        self._answers.pop((namespace, name), None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _query(self, pod: Object, server: str) -> PodVoices:
        """Ask one pod; ``server`` is what its certificate must be for, where it has one."""
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
        address, (scheme, port) = status.get("podIP"), _port(pod)
        ending = bool(pod["metadata"].get("deletionTimestamp"))
        ready = ready and not ending
        marked = _generation(pod)
        if not address or not port:
            return PodVoices(name, ready=False, ending=ending)
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            report = await self._report(scheme, where, server)
        except aiohttp.ClientConnectorCertificateError as error:
            return PodVoices(name, ready=ready, ending=ending, distrusted=_distrust(error, server), marked=marked)
        except InvalidSettings as error:
            return PodVoices(name, ready=ready, ending=ending, distrusted=str(error), marked=marked)
        except (aiohttp.ClientError, TimeoutError, AnswerTooLarge, InvalidDocument):
            return PodVoices(name, ready=ready, ending=ending, marked=marked)
        voices = {voice.id: _loaded(voice) for voice in report.data}
        return PodVoices(
            name,
            ready=ready,
            voices=voices,
            since=report.since,
            ending=ending,
            generation=report.generation,
            marked=marked,
        )

    async def _report(self, scheme: str, address: str, server: str) -> VoicesReport:
        url = f"{scheme}://{address}{PATH}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), trust_env=False)
        headers = {}
        if self._signing is not None and self._signing.is_loaded:
            now = datetime.now(UTC)
            headers["Authorization"] = authorization(
                self._signing.key, method="GET", address=address, path=PATH, now=now
            )
        trust = self._trust.context() if scheme == "https" else True
        async with self._session.get(
            url, headers=headers, allow_redirects=False, ssl=trust, server_hostname=server
        ) as answer:
            answer.raise_for_status()
            return VoicesReport.read(await read_bounded(answer, MAX_ANSWER_BYTES), url)


def _loaded(voice: VoiceReport) -> LoadedVoice:
    beside = voice.next
    return LoadedVoice(
        voice.revision,
        voice.digest,
        voice.state,
        _told(voice.error),
        None if beside is None else LoadedVoice(beside.revision, beside.digest, beside.state, _told(beside.error)),
        last_used=voice.last_used,
    )


def _told(error: str) -> str:
    return masked(error[:2000])[:500]


def _distrust(error: aiohttp.ClientConnectorCertificateError, server: str) -> str:
    cause = error.certificate_error
    why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    return (
        f"the certificate is not taken for {server} ({why.rstrip('.')}); correct the Secret of spec.tlsSecret, "
        "or name the authority in inference.caConfigMap"
    )


def _generation(pod: Object) -> int:
    written = str((pod["metadata"].get("annotations") or {}).get(LIST_GENERATION, ""))
    return int(written) if written.isascii() and written.isdigit() and len(written) < MAX_DIGITS else 0


def _port(pod: Object) -> tuple[str, int | None]:
    """Return what the pod itself speaks and where, whatever its server is to speak from now on."""
    for container in (pod.get("spec") or {}).get("containers") or ():
        if container.get("name") == CONTAINER:
            for port in container.get("ports") or ():
                if port.get("name") in SERVICE_PORTS:
                    return port["name"], port.get("containerPort")
    return "", None
