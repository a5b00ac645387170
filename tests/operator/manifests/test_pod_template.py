"""What an installation adds to pods: it arrives, and it takes nothing away from what the operator wrote."""

from typing import Any

import pytest
from tests.operator.manifests.test_manifests import HASH, SERVER, a_voice, some_settings

from voice_operator.errors import InvalidSettings
from voice_operator.manifests.pod_check import check_pods
from voice_operator.manifests.pod_template import both
from voice_operator.manifests.server import deployment
from voice_operator.manifests.stage_job import job_policy, stage_job
from voice_operator.manifests.strategic_merge import strategic_merge
from voice_operator.reconcile.effects import StartJob
from voice_operator.settings import Settings

ADDED: dict[str, Any] = {
    "serviceAccountName": "trainer",
    "labels": {"team": "voices"},
    "annotations": {"sidecar.istio.io/inject": "false"},
    "env": [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}],
    "envFrom": [{"configMapRef": {"name": "site"}}],
    "volumes": [{"name": "site", "persistentVolumeClaim": {"claimName": "site", "readOnly": True}}],
    "volumeMounts": [{"name": "site", "mountPath": "/site", "readOnly": True}],
    "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
    "priorityClassName": "batch",
    "runtimeClassName": "gvisor",
    "schedulerName": "volcano",
    "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["s3.lan"]}],
    "imagePullSecrets": [{"name": "mirror"}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"]},
}


def job_pod(settings: Settings, stage: Any = "train", **compute: Any) -> dict[str, Any]:
    job = stage_job(a_voice(compute=compute), StartJob(stage, 1), HASH, settings)
    found: dict[str, Any] = job["spec"]["template"]
    return found


def server_pod(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = deployment(SERVER, settings)["spec"]["template"]
    return found


def test_every_field_arrives_in_both_kinds_of_pods_beside_the_operators_own() -> None:
    plain = some_settings()
    settings = some_settings(stages={"pod": ADDED}, inference={"pod": ADDED})
    for before, after in (
        (job_pod(plain, "prepare"), job_pod(settings, "prepare")),
        (server_pod(plain), server_pod(settings)),
    ):
        spec, container = after["spec"], after["spec"]["containers"][0]
        own = before["spec"]["containers"][0]
        assert after["metadata"]["labels"] == before["metadata"]["labels"] | ADDED["labels"]
        assert ADDED["annotations"].items() <= after["metadata"]["annotations"].items()
        assert container["env"] == own["env"] + ADDED["env"]
        assert container["volumeMounts"] == own["volumeMounts"] + ADDED["volumeMounts"]
        assert container["envFrom"] == ADDED["envFrom"]
        assert [one for one in spec["volumes"] if one not in before["spec"]["volumes"]] == ADDED["volumes"]
        assert spec["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
        for field in ("serviceAccountName", "priorityClassName", "runtimeClassName", "schedulerName", "dnsPolicy"):
            assert spec[field] == ADDED[field]
        assert (spec["hostAliases"], spec["dnsConfig"]) == (ADDED["hostAliases"], ADDED["dnsConfig"])
        (sidecar,) = spec["initContainers"]
        assert sidecar["restartPolicy"] == "Always", "it ends with the Job"
        assert sidecar["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_a_stages_own_fields_come_after_those_of_all_stages() -> None:
    stages = {"pod": {"labels": {"a": "1"}}, "train": {"pod": {"labels": {"b": "2"}, "priorityClassName": "gpu"}}}
    settings = some_settings(stages=stages)
    assert {"a": "1", "b": "2"}.items() <= job_pod(settings)["metadata"]["labels"].items()
    assert "priorityClassName" not in job_pod(settings, "prepare")["spec"]


def test_an_affinity_is_asked_for_beside_the_capacity() -> None:
    required, preferred = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
    zone = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    rack = {"matchExpressions": [{"key": "rack", "operator": "Exists"}]}
    wish = {"weight": 1, "preference": rack}
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
    given = {
        "nodeAffinity": {required: {"nodeSelectorTerms": [zone, rack]}, preferred: [wish]},
        "podAntiAffinity": {required: [apart]},
    }
    settings = some_settings(stages={"pod": {"affinity": given}})
    affinity = job_pod(settings, capacity="Spot")["spec"]["affinity"]
    on_spot = {"key": "voice.sovits.dev/capacity", "operator": "In", "values": ["spot"]}
    assert affinity["nodeAffinity"][required]["nodeSelectorTerms"] == [
        {"matchExpressions": [on_spot, *zone["matchExpressions"]]},
        {"matchExpressions": [on_spot, *rack["matchExpressions"]]},
    ]
    assert affinity["podAntiAffinity"] == {required: [apart]}
    assert job_pod(settings, "prepare")["spec"]["affinity"] == given
    wishes = job_pod(settings)["spec"]["affinity"]["nodeAffinity"][preferred]
    assert [one["weight"] for one in wishes] == [100, 1]
    assert both({}, {}) == {}


def test_servers_stand_on_different_nodes_unless_the_installation_says_otherwise() -> None:
    spread = server_pod(some_settings())["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    strict = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    (node, zone) = server_pod(some_settings(inference={"pod": {"topologySpreadConstraints": [strict]}}))["spec"][
        "topologySpreadConstraints"
    ]
    assert (node["whenUnsatisfiable"], zone) == ("DoNotSchedule", spread[1])
    assert node["labelSelector"] == spread[0]["labelSelector"]


def test_a_changed_addition_reaches_jobs_that_wait() -> None:
    def template_hash(**pod: Any) -> str:
        return job_policy(a_voice(), "train", HASH, some_settings(stages={"pod": pod})).template_hash

    fields = [{name: value} for name, value in ADDED.items()]
    assert len({template_hash(), *(template_hash(**one) for one in fields)}) == len(fields) + 1


@pytest.mark.parametrize(
    ("pod", "sentence"),
    [
        pytest.param(
            {"labels": {"voice.sovits.dev/stage": "x"}}, "the label voice.sovits.dev/stage is", id="its label"
        ),
        pytest.param({"labels": {"kueue.x-k8s.io/queue-name": "x"}}, "operator's prefixes", id="a queue for itself"),
        pytest.param({"env": [{"name": "VOICE_SCRATCH", "value": "/"}]}, "VOICE_SCRATCH is written", id="its variable"),
        pytest.param(
            {"volumes": [{"name": "work", "emptyDir": {}}, {"name": "job", "emptyDir": {}}]},
            "volume job",
            id="its volume",
        ),
        pytest.param(
            {"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, "of the kind hostPath; use", id="hostPath"
        ),
        pytest.param(
            {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "has a token of the ServiceAccount",
            id="a token",
        ),
        pytest.param(
            {"volumeMounts": [{"name": "tmp", "mountPath": "/etc"}]}, "/etc covers /etc/voice", id="above its folder"
        ),
        pytest.param(
            {"volumeMounts": [{"name": "tmp", "mountPath": "/etc/voice/x"}]}, "lies in it", id="below its folder"
        ),
        pytest.param(
            {"volumeMounts": [{"name": "tmp", "mountPath": "/work"}]}, "/work is a folder", id="on its folder"
        ),
        pytest.param(
            {"initContainers": [{"name": "i", "image": "i", "securityContext": {"privileged": True}}]},
            "the container i asks for privileges",
            id="a privileged one",
        ),
        pytest.param({"initContainers": [{"name": "i"}]}, "the container i needs an image", id="no image"),
        pytest.param({"initContainers": [{"image": "i"}]}, "each item needs a name", id="no name"),
        pytest.param({"patch": {"spec": {"hostNetwork": True}}}, "hostNetwork would give", id="the node's network"),
        pytest.param(
            {"patch": {"spec": {"restartPolicy": "OnFailure"}}}, "restartPolicy is the operator's", id="restarts"
        ),
        pytest.param(
            {"patch": {"spec": {"automountServiceAccountToken": True}}},
            "automountServiceAccountToken is",
            id="its token",
        ),
        pytest.param(
            {"patch": {"spec": {"containers": [{"name": "two", "image": "x"}]}}},
            "a second container",
            id="a second one",
        ),
        pytest.param(
            {"patch": {"spec": {"containers": [{"name": "stage", "image": "x"}]}}},
            "image of the container stage",
            id="its image",
        ),
        pytest.param(
            {"patch": {"spec": {"containers": [{"image": "x"}]}}}, "an item of a patch needs name", id="nobody"
        ),
        pytest.param(
            {"patch": {"spec": {"containers": [{"name": "stage", "command": ["sh"]}]}}},
            "command of the",
            id="a command",
        ),
        pytest.param({"patch": {"spec": {"securityContext": {"runAsNonRoot": None}}}}, "podSecurity", id="root"),
        pytest.param(
            {"patch": {"spec": {"containers": [{"name": "stage", "securityContext": {"privileged": True}}]}}},
            "securityContext of the container stage",
            id="its rights",
        ),
        pytest.param(
            {"patch": {"spec": {"volumes": "stage"}}}, "has not the form that it has in a pod", id="another type"
        ),
    ],
)
def test_what_is_the_operators_own_stays_and_the_sentence_names_the_value(pod: dict[str, Any], sentence: str) -> None:
    with pytest.raises((InvalidSettings, ValueError), match=r"stages\.train\.pod|each item") as refused:
        check_pods(some_settings(stages={"train": {"pod": pod}}))
    assert sentence in str(refused.value)


def test_all_that_values_may_add_passes_the_check_of_the_start() -> None:
    check_pods(some_settings(stages={"pod": ADDED}, inference={"pod": ADDED}))
    with pytest.raises(
        InvalidSettings, match=r"inference\.pod: the variable VOICE_PUBLIC_KEY is written by the operator"
    ):
        check_pods(some_settings(inference={"pod": {"env": [{"name": "VOICE_PUBLIC_KEY", "value": ""}]}}))


def test_a_patch_is_the_last_resort_for_what_has_no_name() -> None:
    claim = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}
    patch = {
        "metadata": {"annotations": {"karpenter.sh/do-not-disrupt": None}},
        "spec": {
            "terminationGracePeriodSeconds": 60,
            "volumes": [{"name": "work", "$patch": "replace", "ephemeral": claim}],
            "containers": [{"name": "stage", "resources": {"claims": [{"name": "gpu"}]}}],
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
        },
    }
    template = job_pod(some_settings(stages={"train": {"pod": {"patch": patch}}}))
    spec = template["spec"]
    assert "karpenter.sh/do-not-disrupt" not in template["metadata"]["annotations"]
    assert {"name": "work", "ephemeral": claim} in spec["volumes"]
    assert spec["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}, "claims": [{"name": "gpu"}]}
    assert (spec["terminationGracePeriodSeconds"], spec["resourceClaims"][0]["name"]) == (60, "gpu")


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param(
            {"env": [{"name": "b", "value": "2"}]},
            {"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]},
            id="appends",
        ),
        pytest.param(
            {"env": [{"name": "a", "value": "2"}]}, {"env": [{"name": "a", "value": "2"}]}, id="merges by name"
        ),
        pytest.param({"env": [{"name": "a", "$patch": "delete"}]}, {"env": []}, id="deletes"),
        pytest.param({"env": None}, {}, id="removes a field"),
        pytest.param({"args": ["x"]}, {"env": [{"name": "a", "value": "1"}], "args": ["x"]}, id="replaces other lists"),
        pytest.param({"$patch": "replace", "args": ["x"]}, {"args": ["x"]}, id="replaces all"),
    ],
)
def test_strategic_merge(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    document = {"env": [{"name": "a", "value": "1"}]}
    assert strategic_merge(document, patch) == expected
    assert document == {"env": [{"name": "a", "value": "1"}]}


def test_without_a_user_pods_have_no_ids_and_everybody_in_them_reads_secrets() -> None:
    for podded in (job_pod, server_pod):
        plain, free = (podded(some_settings(**one))["spec"] for one in ({}, {"podSecurity": {"runAsUser": None}}))
        ids = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
        assert ids.items() <= plain["securityContext"].items()
        assert free["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        modes = [[one["secret"]["defaultMode"] for one in pod["volumes"] if "secret" in one] for pod in (plain, free)]
        assert modes[0] == [0o440] * len(modes[0])
        assert modes[1] == [0o444] * len(modes[0])


def test_gpus_have_the_name_and_the_taint_of_the_installation() -> None:
    settings = some_settings(stages={"gpu": {"resource": "nvidia.com/mig-1g.10gb", "taint": "slices"}})
    spec = job_pod(settings)["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/mig-1g.10gb": "1"}
    assert spec["tolerations"][0] == {"key": "slices", "operator": "Exists", "effect": "NoSchedule"}


def test_a_base_may_come_by_a_volume() -> None:
    volume = {"image": {"reference": "registry.example.com/bases/v2pro:1", "pullPolicy": "IfNotPresent"}}
    bases = {"tiny": {"uri": "embedded:tiny"}, "v2Pro": {"uri": "file:///bases/v2Pro", "volume": volume}}
    settings = some_settings(bases=bases)
    stage = stage_job(a_voice(base="v2Pro"), StartJob("train", 1), HASH, settings)["spec"]["template"]
    for pod in (stage["spec"], server_pod(settings)["spec"]):
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["mountPath"] == "/bases/v2Pro"]
        assert mount["readOnly"]
        assert {"name": mount["name"], **volume} in pod["volumes"]
    assert "/bases/" not in str(job_pod(settings)), "a voice of another base"
    with pytest.raises(ValueError, match=r"bases\.v2Pro\.uri is 's3://x', but its volume is mounted at /bases/v2Pro"):
        some_settings(bases={"v2Pro": {"uri": "s3://x", "volume": volume}, "tiny": bases["tiny"]})
