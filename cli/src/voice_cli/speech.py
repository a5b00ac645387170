"""A text spoken by a served voice: one request to the speech API, through a port-forward where there is no address."""

import json
import re
import select
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from voice_cli.api import Object
from voice_cli.errors import CliError, ClusterRefused, NotFound, Unavailable, UsageError
from voice_cli.kubectl import Kubectl
from voice_cli.refusals import error_of
from voice_store.printable import printable

FORMATS = ("wav", "mp3", "opus", "flac", "aac")
TIMEOUT_SECONDS = 120
FORWARD_SECONDS = 20
MAX_SOUND_BYTES = 256 << 20
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


@dataclass(frozen=True)
class Wish:
    """What is to be spoken, and how."""

    voice: str  # namespace/name
    text: str
    form: str = "wav"
    key: str | None = None


def speak(address: str, wish: Wish, *, is_tunnel: bool = False) -> bytes:
    """Return the sound of a text.

    A tunnel through the API server ends at the pod, whatever its certificate says: the address is not its name.

    Raises:
        CliError: the server refuses, with its own sentence, or does not answer.
    """
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address!r} is no address of a server; write http://host:port")
    body = json.dumps({"voice": wish.voice, "input": wish.text, "response_format": wish.form}).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {wish.key}"} if wish.key else {})
    request = urllib.request.Request(f"{address.rstrip('/')}/v1/audio/speech", body, headers)  # noqa: S310 -- checked above
    try:
        trust = ssl.create_default_context()
        if is_tunnel:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=trust) as answer:  # noqa: S310 -- as above
            sound: bytes = answer.read(MAX_SOUND_BYTES)
    except urllib.error.HTTPError as error:
        raise _refusal(error, wish.voice) from error
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        remedy = "give the server's address with --server" if is_tunnel else "check --server, or leave it out"
        raise Unavailable(f"{address} does not answer: {reason}; {remedy}") from error
    return sound


def _refusal(error: urllib.error.HTTPError, voice: str) -> CliError:
    try:
        said = json.loads(error.read(65536))["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = error.reason
    sentence = f"{voice}: {printable(str(said))[:1000]}"
    if error.code in {401, 403}:
        return ClusterRefused(f"{sentence}; give a key with --key or VOICE_API_KEY")
    if error.code == 404:
        return NotFound(sentence)
    return Unavailable(sentence) if error.code in {429, 502, 503, 504} else CliError(sentence)


@contextmanager
def forwarded(kubectl: Kubectl, service: str) -> Iterator[str]:
    """Yield the local address of a Service's port while a port-forward runs.

    Raises:
        CliError: there is none; with kubectl's words.
    """
    scheme = scheme_of(kubectl.get("service", service))
    process = kubectl.start("port-forward", f"service/{service}", f":{scheme}", "--address=127.0.0.1")
    try:
        port = _port(process.stdout)
        if port is None:
            process.terminate()
            raise _not_forwarded(service, process.communicate(timeout=TIMEOUT_SECONDS)[1])
        yield f"{scheme}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_SECONDS)


def scheme_of(service: Object) -> str:
    """Return what a VoiceServer's Service speaks: its port has that name."""
    names = {port.get("name") for port in (service.get("spec") or {}).get("ports") or ()}
    return "https" if "https" in names else "http"


def _port(printed: IO[str] | None) -> int | None:
    """Return the port that kubectl prints; None: it ended, or takes too long."""
    deadline = time.monotonic() + FORWARD_SECONDS
    while printed is not None and time.monotonic() < deadline:
        ready, _, _ = select.select([printed], [], [], 1.0)
        if not ready:
            continue
        line = printed.readline()
        if (found := _FORWARDING.search(line)) is not None:
            return int(found[1])
        if not line:
            break
    return None


def _not_forwarded(service: str, said: str) -> CliError:
    why = error_of(said) if said.strip() else Unavailable(f"kubectl said nothing for {FORWARD_SECONDS} s")
    return type(why)(f"no port-forward to service/{service}: {why}; give the server's address with --server")
