"""Who may edit one namespace and has its keys tries everything on it and on another one; what came of it is kept."""

import io
import os
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from minio.error import S3Error
from tests.faults.client import ApiFailed
from tests.security.installation import SYSTEM, TEAM_A, TEAM_B, Installation
from tests.security.matrix import OTHER, OWN, Trial, write
from tests.support.speech_server import SpeechServer
from tests.support.voices import Object, make_server, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]

Attempt = Callable[[], Any]
SHARED_SERVER = "who may reach the server"

# What the other namespace does not keep to itself: a server that two namespaces share knows no callers.
OPEN = {
    ("hear", SHARED_SERVER),
    ("learn the existence of", "GET /v1/voices of a shared server"),
}
# Nobody does these but the operator, for the own namespace neither.
NEVER = {
    ("publish", "a VoiceRevision made by hand"),
    ("learn the existence of", "the sentence about an unknown voice"),
    ("learn the existence of", "the operator's list for a shared server"),
}


class Refused(Exception):
    """It did not work, and somebody said why."""


def tried(action: str, way: str, namespace: str, attempt: Attempt) -> Trial:
    """Try; an error that is no refusal fails the test."""
    try:
        attempt()
    except (Refused, ApiFailed, S3Error) as error:
        if not _is_refusal(error):
            raise
        return Trial(action, way, namespace, allowed=False, said=str(getattr(error, "message", error)))
    return Trial(action, way, namespace, allowed=True)


def _is_refusal(error: Exception) -> bool:
    return (
        isinstance(error, Refused)
        or (isinstance(error, ApiFailed) and error.status == HTTPStatus.FORBIDDEN)
        or (isinstance(error, S3Error) and error.code == "AccessDenied")
    )


def told(keyed: SpeechServer, namespace: str) -> None:
    """Ask a server with keys for everything that could name the voice `alice` of a namespace."""
    paths = ("/v1/voices", "/v1/audio/voices", "/v1/usage", "/readyz", "/metrics")
    answers = [*(keyed.client.get(path) for path in paths), keyed.speak(f"{namespace}/nobody")]
    if not any(f"{namespace}/alice" in answer.text for answer in answers):
        raise Refused(answers[-1].text)


def ways(
    installation: Installation, speech: SpeechServer, keyed: SpeechServer, namespace: str
) -> list[tuple[str, str, Attempt]]:
    """What ada of team-a tries on a namespace, in this order; its voices are `alice` and `gone`."""
    ada, keys = installation.person("ada", namespace), installation.s3(TEAM_A)
    revision: Object = installation.administrator(namespace).objects("voicerevisions")[0]
    copy = {key: value for key, value in revision.items() if key != "metadata"}
    copy["metadata"] = {"name": "by-hand", "namespace": namespace}
    secret = f"{namespace}/alice"

    def put(key: str) -> None:
        keys.put_object("voices", key, io.BytesIO(b"{}"), 2)

    def read(key: str) -> None:
        keys.get_object("voices", key).close()

    def list_objects(prefix: str) -> None:
        assert list(keys.list_objects("voices", prefix=prefix, recursive=True))

    def answered(answer: httpx.Response, text: str = "") -> None:
        if answer.status_code >= 400 or text not in answer.text:
            raise Refused(answer.text[:300])

    def apply_foreign_data() -> None:
        name = f"from-{namespace}"
        uri = f"s3://voices/datasets/{namespace}/alice"
        home = installation.person("ada", TEAM_A)
        home.request("POST", f"{home.path('voicemodels')}?dryRun=All", make_voice(name, TEAM_A, dataset={"uri": uri}))

    def unknown() -> None:
        said = f"{speech.refusal('nobody')} {speech.refusal('team-c/nobody')}"
        if secret not in said:
            raise Refused(said)

    operator = f"{installation.operator_url}/servers/{SYSTEM}/default/voices.json"
    bundle = str(revision["spec"]["artifacts"]["uri"]).removeprefix("s3://voices/")
    return [
        ("create", "a VoiceModel", lambda: ada.apply(make_voice("made", namespace, suspend=True))),
        ("create", "a VoiceModel of the own namespace on its recordings", apply_foreign_data),
        ("read data", "recordings, by the store's key", lambda: read(f"datasets/{namespace}/alice/1.wav")),
        ("read data", "a bundle, by the store's key", lambda: read(f"{bundle}/voice.json")),
        ("read data", "the store's key of the namespace", lambda: ada.get("secrets", "keys")),
        (
            "publish",
            "files in its prefix, by the store's key",
            lambda: put(f"{namespace}/alice/x/publish/manifest.json"),
        ),
        ("publish", "a VoiceRevision made by hand", lambda: ada.create("voicerevisions", copy)),
        ("serve", "a VoiceServer", lambda: ada.apply(make_server("voice-own", namespace))),
        ("hear", SHARED_SERVER, lambda: answered(speech.speak(secret))),
        ("hear", "a key of team-a, at a shared server with keys", lambda: answered(keyed.speak(secret))),
        ("learn the existence of", "that key, by everything that the server answers", lambda: told(keyed, namespace)),
        ("learn the existence of", "the API server", lambda: ada.objects("voicemodels")),
        ("learn the existence of", "the store's key", lambda: list_objects(f"{namespace}/")),
        (
            "learn the existence of",
            "GET /v1/voices of a shared server",
            lambda: answered(speech.client.get("/v1/voices"), secret),
        ),
        ("learn the existence of", "the sentence about an unknown voice", unknown),
        (
            "learn the existence of",
            "the operator's list for a shared server",
            lambda: answered(httpx.get(operator), secret),
        ),
        (
            "revoke",
            "consent.revoked",
            lambda: ada.patch("voicemodels", "gone", {"spec": {"consent": {"revoked": True}}}),
        ),
        ("erase", "files of its prefix, by the store's key", lambda: keys.remove_object("voices", f"{namespace}/x")),
        ("erase", "the VoiceModel", lambda: ada.delete("voicemodels", "gone")),
    ]


def test_what_a_tenant_may_do_to_itself_and_to_another(
    installation: Installation, speech: SpeechServer, keyed_speech: SpeechServer, alice: str, repository: Path
) -> None:
    installation.bucket.write(f"s3://voices/datasets/{TEAM_B}/alice/1.wav", b"RIFF")
    installation.train(TEAM_B, "alice")
    for namespace in (TEAM_A, TEAM_B):
        installation.train(namespace, "gone")
        speech.wait("alice", lambda: speech.speak(f"{namespace}/alice").status_code == 200)  # noqa: B023
    keyed_speech.wait("alice", lambda: keyed_speech.speak(f"{TEAM_A}/alice").status_code == 200)
    keyed_speech.wait("all voices", lambda: keyed_speech.client.get("/readyz").status_code == 200)
    trials = [
        tried(action, way, label, attempt)
        for label, namespace in ((OWN, TEAM_A), (OTHER, TEAM_B))
        for action, way, attempt in ways(installation, speech, keyed_speech, namespace)
    ]
    write(trials, Path(os.environ.get("SECURITY_OUT", repository / "out" / "security")))
    allowed = {(one.action, one.way) for one in trials if one.allowed and one.namespace == OTHER}
    assert allowed == OPEN, [one for one in trials if one.namespace == OTHER]
    refused = {(one.action, one.way) for one in trials if not one.allowed and one.namespace == OWN}
    assert refused == NEVER, [one for one in trials if one.namespace == OWN]
    assert all(one.said for one in trials if not one.allowed)
    assert installation.is_ready(TEAM_B, "gone"), "what was tried on the other namespace changed nothing"
    wait_for("the own voice's end", lambda: f"{TEAM_A}/gone" not in installation.listed())
    admin = installation.administrator(TEAM_A)
    for kind, name in (("voicemodels", "made"), ("voiceservers", "voice-own")):
        admin.delete(kind, name)
