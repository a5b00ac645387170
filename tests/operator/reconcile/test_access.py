"""Which voices a server serves."""

from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.reconcile.access import access_problem
from voice_operator.reconcile.observed import Voice

SPEC = VoiceModelSpec.model_validate(
    {
        "language": "en",
        "dataset": {"uri": "s3://voices/datasets/team-b/bob"},
        "consent": {"holder": "Bob B.", "statement": "I agree."},
    }
)


def reason(
    spec: dict[str, Any],
    *,
    namespace: str = "team-b",
    served: bool = False,
    listed: int = 0,
    servers: Any = None,
    default: bool = False,
) -> str:
    status = VoiceModelStatus(server="team-a/studio") if served else VoiceModelStatus()
    voice = Voice(namespace, "bob", "uid", 1, SPEC, status)
    server = VoiceServerSpec.model_validate({"base": "tiny"} | spec)
    problem = access_problem(voice, "team-a", "studio", server, servers=servers, listed=listed, default=default)
    return problem.reason if problem else ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"spec": {}, "namespace": "team-a"}, "", id="its own namespace"),
        pytest.param({"spec": {"allowedNamespaces": []}, "namespace": "team-a"}, "", id="always its own"),
        pytest.param({"spec": {}}, "ServerNotAllowed", id="no other, unless it says so"),
        pytest.param({"spec": {"allowedNamespaces": ["team-c"]}}, "ServerNotAllowed", id="not one that it leaves out"),
        pytest.param({"spec": {"allowedNamespaces": ["team-b"]}}, "", id="one that it names"),
        pytest.param({"spec": {"allowedNamespaces": ["*"]}}, "", id="all"),
        pytest.param({"spec": {}, "default": True}, "", id="the installation's own server admits all"),
        pytest.param(
            {"spec": {"allowedNamespaces": []}, "default": True}, "ServerNotAllowed", id="unless it names namespaces"
        ),
        pytest.param({"spec": {}, "served": True}, "", id="an upgrade unloads nothing"),
        pytest.param({"spec": {"allowedNamespaces": []}, "served": True}, "ServerNotAllowed", id="the owner closes it"),
        pytest.param({"spec": {"maxVoices": 3}, "namespace": "team-a", "listed": 2}, "", id="the last that has room"),
        pytest.param({"spec": {"maxVoices": 3}, "namespace": "team-a", "listed": 3}, "ServerFull", id="no room"),
        pytest.param(
            {"spec": {"maxVoices": 1, "allowedNamespaces": ["*"]}, "listed": 9, "served": True},
            "",
            id="who is in stays",
        ),
        pytest.param(
            {"spec": {"allowedNamespaces": ["*"]}, "servers": ["team-b/*"]},
            "ServerNotAllowed",
            id="not for this tenant",
        ),
        pytest.param({"spec": {"allowedNamespaces": ["*"]}, "servers": ["team-a/studio"]}, "", id="for this tenant"),
        pytest.param({"spec": {"allowedNamespaces": ["*"]}, "servers": ["team-a/*"]}, "", id="any there"),
        pytest.param(
            {"spec": {"allowedNamespaces": ["*"]}, "servers": [], "served": True}, "", id="a new rule unloads nothing"
        ),
    ],
)
def test_access(given: dict[str, Any], expected: str) -> None:
    assert reason(**given) == expected


def test_the_sentence_names_the_server_its_namespaces_and_the_remedy() -> None:
    voice = Voice("team-b", "bob", "uid", 1, SPEC, VoiceModelStatus())
    problem = access_problem(
        voice,
        "team-a",
        "studio",
        VoiceServerSpec(base="tiny", allowed_namespaces=("team-c",)),
        servers=None,
        listed=0,
    )
    assert problem is not None
    assert problem.message == (
        "VoiceServer team-a/studio serves voices of these namespaces: team-c; name another server in "
        "spec.serving.server, or have team-b added to the server's spec.allowedNamespaces"
    )
