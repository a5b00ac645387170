"""A client for the API server that creates thousands of objects in parallel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from dev.errors import DevError
from dev.kubeconfig import credentials_of

PARALLEL = 32
OPERATOR = "voice-operator"  # the operator's field manager
RETRY_SECONDS = 0.2
OURS = "/apis/voice.sovits.dev/v1alpha1"
GROUPS = {
    "voicemodels": OURS,
    "voicerevisions": OURS,
    "voiceservers": OURS,
    "jobs": "/apis/batch/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
}

Object = dict[str, Any]
Item = TypeVar("Item")


class Api:
    """Objects by the plural of their kind, in any namespace."""

    def __init__(self, kubeconfig: Path) -> None:
        self._server, self._tls = credentials_of(kubeconfig)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=2 * PARALLEL, ssl=self._tls)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """Read an object."""
        return await self.request("GET", path(kind, namespace, name))

    async def objects(self, kind: str, namespace: str, labels: str = "") -> list[Object]:
        """All objects of a namespace."""
        page = await self.request("GET", path(kind, namespace) + (f"?labelSelector={labels}" if labels else ""))
        items: list[Object] = page["items"]
        return items

    async def create(self, kind: str, document: Object) -> Object:
        """Create an object."""
        return await self.request("POST", path(kind, document["metadata"].get("namespace", "")), document)

    async def apply_status(self, kind: str, document: Object) -> Object:
        """Write the status as the operator does: fields of another manager would stay when the operator drops them."""
        metadata = {key: document["metadata"][key] for key in ("name", "namespace")}
        body = document | {"metadata": metadata}
        target = f"{path(kind, metadata['namespace'], metadata['name'])}/status?fieldManager={OPERATOR}&force=true"
        return await self.request("PATCH", target, body, "application/apply-patch+yaml")

    async def merge(self, kind: str, namespace: str, name: str, change: Object, *, status: bool = False) -> Object:
        """Change some fields of an object, or of its status."""
        target = path(kind, namespace, name) + ("/status" if status else "")
        return await self.request("PATCH", target, change, "application/merge-patch+json")

    async def watch(self, kind: str, namespace: str) -> AsyncIterator[Object]:
        """Events of a kind from now on, until the caller has enough."""
        version = (await self.request("GET", f"{path(kind, namespace)}?limit=1"))["metadata"]["resourceVersion"]
        url = f"{self._server}{path(kind, namespace)}?watch=1&resourceVersion={version}"
        async with self._session.get(url) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def request(
        self, method: str, target: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Object:
        """Ask.

        Raises:
            DevError: the API server refuses.
        """
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        async with self._session.request(method, f"{self._server}{target}", data=content, headers=headers) as answer:
            document: Object = await answer.json()
        if answer.status >= 400:
            raise DevError(f"{method} {target}: {answer.status} {document.get('message', '')}")
        return document


def path(kind: str, namespace: str = "", name: str = "") -> str:
    """Where a kind, or an object of it, lives."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{GROUPS.get(kind, '/api/v1')}{scope}/{kind}" + (f"/{name}" if name else "")


async def until(poll: Callable[[], Awaitable[Item]]) -> Item:
    """The first true answer."""
    while True:
        if answer := await poll():
            return answer
        await asyncio.sleep(RETRY_SECONDS)


async def in_parallel(items: Iterable[Item], work: Callable[[Item], Awaitable[object]]) -> None:
    """Do the work for each item, many at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(PARALLEL)))
