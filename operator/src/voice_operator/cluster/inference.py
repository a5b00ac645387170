"""Asks the inference pods which voices they have loaded; answers are cached for FRESH_SECONDS."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from voice_operator.cluster.answers import read_bounded
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import Object
from voice_operator.cluster.signing import Signing
from voice_operator.documents import VoiceReport, VoicesReport
from voice_operator.errors import AnswerTooLarge, InvalidDocument
from voice_operator.manifests.server import CONTAINER
from voice_operator.masking import masked
from voice_operator.reconcile.observed import LoadedVoice, PodVoices
from voice_operator.signing import authorization

FRESH_SECONDS = 0.5
TIMEOUT_SECONDS = 3.0
MAX_ANSWER_BYTES = 16 << 20
PATH = "/v1/voices"


@dataclass
class _Answer:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pods: tuple[PodVoices, ...] = ()
    fetched_at: float = float("-inf")


class Inference:
    """The pods of all VoiceServers."""

    def __init__(self, caches: Caches, signing: Signing | None = None) -> None:
        """Take the caches, and the key by which pods know the operator; they may ask everybody for one of theirs."""
        self._caches = caches
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
                answer.pods = tuple(await asyncio.gather(*(self._query(item) for item in items)))
                answer.fetched_at = time.monotonic()
            return answer.pods

    def evict(self, namespace: str, name: str) -> None:
        """Drop the cached answer of a deleted VoiceServer."""
        self._answers.pop((namespace, name), None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _query(self, pod: Object) -> PodVoices:
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
        address, port = status.get("podIP"), _port(pod)
        ending = bool(pod["metadata"].get("deletionTimestamp"))
        ready = ready and not ending
        if not address or not port:
            return PodVoices(name, ready=False, ending=ending)
        host = f"[{address}]" if ":" in address else address
        try:
            report = await self._report(f"{host}:{port}")
        except (aiohttp.ClientError, TimeoutError, AnswerTooLarge, InvalidDocument):
            return PodVoices(name, ready=ready, ending=ending)
        voices = {voice.id: _loaded(voice) for voice in report.data}
        return PodVoices(name, ready=ready, voices=voices, since=report.since, ending=ending)

    async def _report(self, address: str) -> VoicesReport:
        url = f"http://{address}{PATH}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), trust_env=False)
        headers = {}
        if self._signing is not None and self._signing.is_loaded:
            now = datetime.now(UTC)
            headers["Authorization"] = authorization(
                self._signing.key, method="GET", address=address, path=PATH, now=now
            )
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
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


def _port(pod: Object) -> int | None:
    for container in (pod.get("spec") or {}).get("containers") or ():
        if container.get("name") == CONTAINER:
            return next(
                (port.get("containerPort") for port in container.get("ports") or () if port.get("name") == "http"), None
            )
    return None
