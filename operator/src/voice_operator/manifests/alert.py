"""An alert as HTTP request: plain JSON, Slack's format or a CloudEvent, signed as Standard Webhooks 1.0 says.

Standard Webhooks: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md. CloudEvents 1.0: its HTTP
protocol binding 1.0.2 and JSON event format. Slack: incoming webhooks, with the three characters of its markup escaped.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from voice_operator import __version__
from voice_operator.api.schema import API_VERSION
from voice_operator.reconcile.alerts import Alert, AlertKind

TargetKind = Literal["webhook", "slack", "cloudevents"]
Mode = Literal["structured", "binary"]

EVENT_TYPE = "dev.sovits.voice.alert"
SECRET_PREFIX = "whsec_"  # noqa: S105 -- the beginning of every secret of Standard Webhooks
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64

TITLES: dict[AlertKind, str] = {
    "RecordingsRefused": "The recordings were refused",
    "GatesFailed": "A quality gate failed",
    "WorseThanActive": "The new revision is worse than the one that is served",
    "AwaitingReview": "A revision waits for review",
    "ConsentExpiring": "The consent is about to expire",
    "ConsentExpired": "The consent has expired",
    "ConsentRevoked": "The consent was revoked",
    "LoadFailed": "A server cannot load the voice",
    "Stalled": "The voice is stalled",
    "UnusedSoon": "Nobody uses the voice, and it will be erased",
    "BelowGates": "What is served does not reach gates that were raised since",
    "CopyFailed": "The voice is not copied to the Hugging Face Hub",
    "WithdrawalFailed": "The consent was revoked, and the copy on the Hugging Face Hub is still there",
    "WaitsLong": "The voice has waited for long",
}


@dataclass(frozen=True)
class AlertRequest:
    """The body of a POST, and its headers but for the signature."""

    id: str
    headers: dict[str, str]
    body: bytes


def alert_request(alert: Alert, kind: TargetKind, mode: Mode = "structured") -> AlertRequest:
    """Return the request that tells a target of an alert; ``mode`` is the content mode of a CloudEvent."""
    headers = {"Content-Type": "application/json", "User-Agent": f"voice-operator/{__version__}"}
    document: dict[str, Any]
    match kind:
        case "slack":
            document = dict(slack_message(alert))
        case "webhook":
            document = {"type": f"{EVENT_TYPE}.{alert.kind}", "timestamp": alert.time, "data": data_of(alert)}
        case "cloudevents":
            attributes = cloud_event(alert)
            if mode == "structured":
                headers["Content-Type"] = "application/cloudevents+json; charset=UTF-8"
                document = {**attributes, "datacontenttype": "application/json", "data": data_of(alert)}
            else:
                headers |= {f"ce-{name}": value for name, value in attributes.items()}
                document = data_of(alert)
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return AlertRequest(alert.id, headers, body)


def data_of(alert: Alert) -> dict[str, Any]:
    """Return what a program needs of an alert."""
    data = {
        "id": alert.id,
        "alert": alert.kind,
        "title": TITLES[alert.kind],
        "namespace": alert.namespace,
        "voice": alert.voice,
        "uid": alert.uid,
        "generation": alert.generation,
        "revision": alert.revision,
        "reason": alert.reason,
        "message": alert.message,
    }
    return {name: value for name, value in data.items() if value is not None}


def cloud_event(alert: Alert) -> dict[str, str]:
    """Return the context attributes; names, times and paths are plain ASCII, so that no header needs an escape."""
    return {
        "specversion": "1.0",
        "id": alert.id,
        "source": f"/apis/{API_VERSION}/namespaces/{alert.namespace}/voicemodels/{alert.voice}",
        "type": f"{EVENT_TYPE}.{alert.kind}",
        "subject": f"{alert.namespace}/{alert.voice}",
        "time": alert.time,
    }


def slack_message(alert: Alert) -> dict[str, str]:
    """Return the message of an incoming webhook; nothing in it can mention a channel or hide an address."""
    revision = f", revision {alert.revision}" if alert.revision else ""
    about = f"voice {alert.namespace}/{alert.voice}{revision}"
    return {"text": f"*{TITLES[alert.kind]}*: {_escaped(about)}\n{_escaped(alert.message)}"}


def signed(request: AlertRequest, secrets: Iterable[bytes], timestamp: int) -> dict[str, str]:
    """Return the headers ``webhook-id``, ``-timestamp`` (of this attempt) and ``-signature``: one for each secret."""
    content = f"{request.id}.{timestamp}.".encode() + request.body
    digests = (hmac.new(secret, content, hashlib.sha256).digest() for secret in secrets)
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return {"webhook-id": request.id, "webhook-timestamp": str(timestamp)} | (
        {"webhook-signature": signatures} if signatures else {}
    )


def signing_secrets(text: str) -> tuple[bytes, ...]:
    """Return the secrets of a file: one, or during a rotation several, separated by white space.

    Raises:
        ValueError: one is not ``whsec_`` and the base64 of 24 to 64 bytes; the message does not repeat it.
    """
    secrets = []
    for word in text.split():
        try:
            secret = base64.b64decode(word.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            secret = b""
        if not word.startswith(SECRET_PREFIX) or not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
            raise ValueError(
                f"no signing secret: it must be {SECRET_PREFIX} and the base64 of {MIN_SECRET_BYTES} to "
                f'{MAX_SECRET_BYTES} random bytes; make one with: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
            )
        secrets.append(secret)
    if not secrets:
        raise ValueError("it is empty; put a signing secret there")
    return tuple(secrets)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
