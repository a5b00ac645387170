"""What the chart lets the operator's account do with Kueue's Workloads, asked of the API server in its name."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chart.conftest import Chart
from tests.faults.client import ApiFailed, Client
from tests.kueue.queues import cluster_queue, local_queue
from tests.kueue.team import Team
from tests.support.kueue import Kueue
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.kueue]

OPERATOR = {"Impersonate-User": "system:serviceaccount:voice-system:voice-operator"}
ADMINISTRATOR = "voice-dev-admin"  # as whom the operator of these tests works
TEMPLATES = ("serviceaccount", "rbac", "admission")


def a_job_of_somebody(namespace: str) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "one", "image": "theirs:1"}]}
    about = {"name": "theirs", "namespace": namespace, "labels": {"kueue.x-k8s.io/queue-name": "gpu"}}
    spec = {"suspend": True, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(ApiFailed) as refused:
        act()
    return str(refused.value)


@pytest.fixture
def chart(tool: Callable[[str], Path], repository: Path, tmp_path: Path) -> Chart:
    return Chart(tool("helm"), repository / "charts" / "voice-operator", tmp_path)


@pytest.fixture(scope="module")
def started(kueue: Kueue) -> Iterator[Kueue]:
    kueue.start()
    yield kueue
    kueue.stop()


@pytest.mark.parametrize("whole", [True, False], ids=["in the whole cluster", "in named namespaces"])
def test_the_account_makes_workloads_of_its_own_jobs_inactive_and_nothing_else(
    started: Kueue, make_team: Callable[[str], Team], chart: Chart, *, whole: bool
) -> None:
    namespace = "rights-everywhere" if whole else "rights-here"
    started.apply(cluster_queue(namespace, gpus=0))
    team = make_team(namespace)
    started.apply(local_queue(namespace, "gpu", namespace))
    values = {"watchNamespaces": [] if whole else [namespace], "kueue": {"enabled": True}}
    trusted = {"admission": {"alsoTrusted": {"users": [ADMINISTRATOR]}}}
    only = [flag for name in TEMPLATES for flag in ("--show-only", f"templates/{name}.yaml")]
    documents = chart.objects(values | trusted, *only)
    for document in documents:
        started.apply(document)
    team.apply("ann", compute={"queueName": "gpu"})
    team.until("ann", "Queued", "train-")
    own = team.workload(team.job("ann", "train"))
    theirs = team.workload(team.client.create("jobs", a_job_of_somebody(namespace)))["metadata"]["name"]
    name = own["metadata"]["name"]
    operator = Client(team.client.kubeconfig, namespace, OPERATOR)

    def change(workload: str, spec: dict[str, Any]) -> Callable[[], None]:
        return lambda: operator.patch("workloads", workload, {"spec": spec})

    def in_force() -> bool:
        try:
            change(theirs, {"active": True})()
        except ApiFailed as error:
            return "it makes Workloads of its own Jobs inactive and active again" in str(error)
        return False

    wait_for("the policies", in_force, 60)
    assert {one["metadata"]["name"] for one in operator.objects("workloads")} >= {name, theirs}
    assert "its own Jobs" in refusal(change(theirs, {"active": False}))
    assert "its own Jobs" in refusal(change(name, {"queueName": "other"}))
    assert "its own Jobs" in refusal(change(name, {"priority": 1000}))
    assert "cannot delete" in refusal(lambda: operator.delete("workloads", name))
    assert "cannot create" in refusal(lambda: operator.create("workloads", {**own, "metadata": {"name": "made"}}))
    change(name, {"active": False})()
    assert team.client.get("workloads", name)["spec"]["active"] is False
    operator.close()
    team.client.delete("jobs", "theirs")
    team.delete("ann")
    started.run("delete", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": documents})
