"""Which request to the API server meets which fault, and which watch event is lost; the proxy carries it out."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

VOICE_LABEL = "voice.sovits.dev/voice-model"
WRITES = frozenset({"create", "update", "patch", "apply", "delete"})
READS = frozenset({"get", "list"})
LEASES = "leases"  # a heartbeat: written while nothing changes

_PATH = re.compile(r"^/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?(?:/([^/]+))?(?:/([^/]+))?(?:/(.+))?$")


@dataclass(frozen=True)
class Request:
    """A request as RBAC would see it; verb ``apply`` is a server-side apply."""

    verb: str
    resource: str  # plural; empty: not about objects
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    selector: str = ""
    url: str = ""

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def target(self) -> tuple[str, ...]:
        return (self.verb, self.resource, self.namespace, self.name, self.subresource)

    def concerns(self, voice: str) -> bool:
        """Whether it is about the voice or one of its children; the names of voices must not be prefixes of others."""
        return (
            self.name == voice
            or self.name.startswith((f"{voice}-", f"{voice}."))
            or self.selector.endswith(f"={voice}")
        )


def request_of(
    method: str, path: str, query: Mapping[str, str], *, content_type: str = "", body: bytes = b"", url: str = ""
) -> Request:
    """Read a request."""
    found = _PATH.match(path)
    namespace, resource, name, subresource = (part or "" for part in found.groups()) if found else ("", "", "", "")
    if namespace and not resource:
        namespace, resource, name = "", "namespaces", namespace
    if method == "POST" and resource and not name:
        name = str((json.loads(body or b"{}").get("metadata") or {}).get("name", ""))
    return Request(
        verb=_verb(method, bool(name) or not resource, query, content_type),
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=subresource,
        selector=query.get("labelSelector", ""),
        url=url or path,
    )


def _verb(method: str, named: bool, query: Mapping[str, str], content_type: str) -> str:
    if method == "GET":
        return "watch" if query.get("watch") in {"1", "true"} else "get" if named else "list"
    if method == "PATCH":
        return "apply" if "apply-patch" in content_type else "patch"
    return {"POST": "create", "PUT": "update", "DELETE": "delete"}.get(method, method.lower())


@dataclass(frozen=True)
class Answer:
    """An answer that the API server never gave; the request does not reach it."""

    status: int
    reason: str
    retry_after: int | None = None  # seconds


@dataclass(frozen=True)
class Cut:
    """The connection breaks: before the request reaches the API server, or afterwards, so that its answer is lost."""

    after: bool = False


@dataclass(frozen=True)
class Delay:
    """The answer comes ``seconds`` late; what it says was true when it was asked for."""

    seconds: float


@dataclass(frozen=True)
class Stale:
    """A read gets an answer of earlier: the last one that was given (0), or ``back`` before it."""

    back: int = 0


@dataclass(frozen=True)
class Call:
    """The request takes effect, ``action`` runs, and the answer is lost."""

    action: Callable[[], None]


Fault = Answer | Cut | Delay | Stale | Call


@dataclass
class Rule:
    """A fault, and the requests that meet it."""

    fault: Fault
    verbs: Collection[str] = ()  # empty: all
    resources: Collection[str] = ()  # empty: all
    where: Callable[[Request], bool] = lambda _: True
    nth: int | None = None  # this one alone of the requests that fit; the first is 1
    once_per_target: bool = False
    fitted: int = 0
    applied: int = 0
    _targets: set[tuple[str, ...]] = field(default_factory=set)

    def fault_for(self, request: Request) -> Fault | None:
        """Count the request if it fits; return the fault if it is met."""
        if not self._fits(request):
            return None
        self.fitted += 1
        if self.nth is not None and self.fitted != self.nth:
            return None
        if self.once_per_target:
            if request.target in self._targets:
                return None
            self._targets.add(request.target)
        self.applied += 1
        return self.fault

    def _fits(self, request: Request) -> bool:
        return (
            (not self.verbs or request.verb in self.verbs)
            and (not self.resources or request.resource in self.resources)
            and self.where(request)
        )


@dataclass
class LostEvents:
    """Watch events that never arrive."""

    resources: Collection[str] = ()  # empty: all
    where: Callable[[Mapping[str, Any]], bool] = lambda _: True  # of the whole event: type and object
    nth: int | None = None
    fitted: int = 0
    lost: int = 0

    def loses(self, resource: str, event: Mapping[str, Any]) -> bool:
        """Count the event if it fits; return whether it is lost."""
        if event.get("type") in {"BOOKMARK", "ERROR"} or (self.resources and resource not in self.resources):
            return False
        if not self.where(event):
            return False
        self.fitted += 1
        lost = self.nth is None or self.fitted == self.nth
        self.lost += lost
        return lost


def concerns(voice: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return a test for watch events: whether they are about this voice or one of its children."""

    def about(event: Mapping[str, Any]) -> bool:
        metadata = event["object"]["metadata"]
        return metadata["name"] == voice or (metadata.get("labels") or {}).get(VOICE_LABEL) == voice

    return about
