"""Keeps the installation's default VoiceServer as its configuration says: made, mended, and never deleted."""

import asyncio
import logging

from voice_operator.api.schema import API_VERSION
from voice_operator.cluster.kube import VOICE_SERVERS, Kube, Object
from voice_operator.errors import ClusterError, NotFound
from voice_operator.manifests.applied import unapplied, with_digest
from voice_operator.manifests.labels import recommended
from voice_operator.settings import DefaultServer

log = logging.getLogger(__name__)


def default_voice_server(server: DefaultServer) -> Object:
    """Return the VoiceServer; fields that its spec leaves out are anybody's to set."""
    return with_digest(
        {
            "apiVersion": API_VERSION,
            "kind": "VoiceServer",
            "metadata": {
                "name": server.name,
                "namespace": server.namespace,
                "labels": recommended(name="voiceserver", instance=server.name, component="inference"),
            },
            "spec": server.spec,
        }
    )


async def keep_default_server(kube: Kube, server: DefaultServer | None, *, seconds: float) -> None:
    """Look every ``seconds``, for ever, and apply the server where it differs."""
    while True:
        if server is not None and server.spec:
            try:
                await apply_default_server(kube, server)
            except ClusterError as error:
                log.warning("VoiceServer %s/%s: not written, tried again: %s", server.namespace, server.name, error)
        await asyncio.sleep(seconds)


async def apply_default_server(kube: Kube, server: DefaultServer) -> None:
    """Apply the server unless it is as it was applied last.

    Raises:
        ClusterError: the API server did not answer, or refused it.
    """
    body = default_voice_server(server)
    try:
        existing = await kube.get(VOICE_SERVERS, server.namespace, server.name)
    except NotFound:
        existing = {}
    field = unapplied(body, existing)
    if field is not None:
        log.info("VoiceServer %s/%s: applied, because of %s", server.namespace, server.name, field or "its absence")
        await kube.apply(VOICE_SERVERS, body)
