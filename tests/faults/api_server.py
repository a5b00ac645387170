"""The API server of the tests' control plane, stopped and started again as an upgrade does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev import builds
from dev.cluster import controlplane, processes
from dev.cluster.settings import load


@contextmanager
def stopped_api_server(admin: Path) -> Iterator[None]:
    """Stop the process inside the block; it is ready again at the end.

    So is the controller manager, which elsewhere loses its Lease and is started again by a kubelet: ours has none, and
    would look for the API server again after a back-off that is longer than what the scenarios allow the operator.
    """
    cluster = load(admin.parent)
    assert cluster is not None
    processes.stop(cluster.state / "run" / "kube-apiserver.json", graceful=False)
    try:
        yield
    finally:
        processes.stop(cluster.state / "run" / "kube-controller-manager.json", graceful=False)
        controlplane.start_api_server(cluster, builds.build("kube-apiserver"))
        controlplane.start_controller_manager(cluster, builds.build("kube-controller-manager"))
