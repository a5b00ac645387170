"""Refuses to work beside another installation of this operator: each would undo what the other does."""

import asyncio
from collections.abc import Iterable

from voice_operator.api.schema import GROUP
from voice_operator.cluster.kube import LEASES, Kube, Object
from voice_operator.errors import InstallationConflict

WATCHES = f"{GROUP}/watches"  # annotation of the Lease: the namespaces, or * for all
PART_OF = {"app.kubernetes.io/part-of": "voice-operator"}
OBSERVATION_SECONDS = 5.0  # a living leader renews its lease every 2 s


def watched(namespaces: Iterable[str]) -> str:
    """Return the annotation's value."""
    return ",".join(sorted(namespaces)) or "*"


async def refuse_overlap(kube: Kube, own: tuple[str, str], namespaces: tuple[str, ...]) -> None:
    """Return unless an installation that was there before works in the same namespaces.

    ``own`` are namespace and name of this installation's Lease, which it holds. Whether another one is alive is told by
    the change of its Lease, never by clocks of two machines.

    Raises:
        InstallationConflict: there is one; the message names it.
        ClusterError: the Leases cannot be listed.
    """
    before = await _leases(kube, namespaces)
    mine = before.pop(own, None)
    rivals = {key: lease for key, lease in before.items() if _overlap(lease, namespaces)}
    if not rivals:
        return
    await asyncio.sleep(OBSERVATION_SECONDS)
    after = await _leases(kube, namespaces)
    for key, lease in sorted(rivals.items()):
        alive = key in after and _holder(after[key]) and _renewed(after[key]) != _renewed(lease)
        if alive and (mine is None or (_acquired(lease), key) < (_acquired(mine), own)):
            where = lease["metadata"]["annotations"][WATCHES].replace("*", "all namespaces")
            raise InstallationConflict(
                f"the voice-operator of namespace {key[0]} (lease {key[1]}) already works in {where}; uninstall one of "
                "the two, or give each its own watchNamespaces"
            )


async def _leases(kube: Kube, namespaces: tuple[str, ...]) -> dict[tuple[str, str], Object]:
    found = [item for scope in namespaces or (None,) for item in await kube.list(LEASES, scope, PART_OF)]
    return {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for item in found
        if WATCHES in (item["metadata"].get("annotations") or {})
    }


def _overlap(lease: Object, namespaces: tuple[str, ...]) -> bool:
    theirs = str(lease["metadata"]["annotations"][WATCHES])
    return theirs == "*" or not namespaces or bool(set(theirs.split(",")) & set(namespaces))


def _holder(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _renewed(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("renewTime", ""))


def _acquired(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("acquireTime", ""))
