"""Which voices a server serves: those of the namespaces that it admits, up to its number of voices."""

from collections.abc import Sequence

from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.reconcile.observed import Problem, Voice

ALL = "*"


def access_problem(
    voice: Voice,
    namespace: str,
    name: str,
    spec: VoiceServerSpec,
    *,
    servers: Sequence[str] | None,
    listed: int,
    default: bool = False,
) -> Problem | None:
    """Return why a voice may not use a server, or None.

    ``servers`` are those that the voice's namespace may use (None: all), ``listed`` is the number of other voices in
    the server's list, and the installation's ``default`` server admits all unless it names namespaces. A voice that
    the server serves already stays, unless the server names namespaces and leaves the voice's out: an upgrade to a
    version that asks for names must unload nothing.
    """
    server_id, admitted = f"{namespace}/{name}", spec.allowed_namespaces
    if admitted is None and default:
        admitted = (ALL,)
    served = voice.status.server == server_id
    own = voice.namespace == namespace
    if not own and not (served if admitted is None else not {ALL, voice.namespace}.isdisjoint(admitted)):
        named = ", ".join(admitted or ()) or "its own"
        return Problem(
            "ServerNotAllowed",
            f"VoiceServer {server_id} serves voices of these namespaces: {named}; name another server in "
            f"spec.serving.server, or have {voice.namespace} added to the server's spec.allowedNamespaces",
        )
    if served:
        return None
    if servers is not None and {server_id, f"{namespace}/{ALL}"}.isdisjoint(servers):
        return Problem(
            "ServerNotAllowed",
            f"VoiceServer {server_id} is none that the namespace {voice.namespace} may use: "
            f"{', '.join(servers) or 'none'} (chart value tenancy.servers)",
        )
    if listed >= spec.max_voices:
        return Problem(
            "ServerFull",
            f"VoiceServer {server_id} serves {listed} voices, and its spec.maxVoices is {spec.max_voices}; "
            "raise that, delete a voice, or name another server in spec.serving.server",
        )
    return None
