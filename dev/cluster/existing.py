"""Somebody else's cluster: we look whether it answers, and change nothing."""

from __future__ import annotations

import os

from dev import builds
from dev.errors import DevError
from dev.terminal import run


def command(name: str) -> int:
    """Check that the cluster answers, or print its kubeconfig."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        raise DevError("CLUSTER=existing needs KUBECONFIG", remedy="export KUBECONFIG=/path/of/its/kubeconfig")
    if name == "kubeconfig":
        print(kubeconfig)
        return 0
    # kubectl, because a kubeconfig may name any sign-in helper there is.
    remedy = "check KUBECONFIG and its current context; unset CLUSTER to use the cluster of this machine"
    run([builds.kubectl(), "get", "--raw", "/readyz", "--request-timeout=15s"], remedy=remedy)
    print(f"the cluster of {kubeconfig} answers; `{name}` changes nothing there")
    return 0
