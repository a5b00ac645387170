"""Manifests of everything that the operator creates."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import ObservedDataset, VoiceModelStatus
from voice_operator.manifests.job_document import job_document_config_map
from voice_operator.manifests.revision import voice_revision
from voice_operator.manifests.server import deployment, endpoint, service
from voice_operator.manifests.stage_job import job_policy, stage_job
from voice_operator.manifests.voice_list import list_config_map, list_document
from voice_operator.reconcile.effects import CreateRevision, StartJob
from voice_operator.reconcile.names import job_name
from voice_operator.reconcile.observed import StageOutput, Voice, VoiceServer
from voice_operator.settings import Settings

HASH = "3fa9c2d1" * 8
SPOT = {"key": "voice.sovits.dev/capacity", "operator": "Equal", "value": "spot", "effect": "NoSchedule"}
GPU_NODE = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
OWN = {"key": "team", "operator": "Exists"}


def some_settings(**changes: Any) -> Settings:
    document = {
        "images": {"trainer": "trainer:1", "inference": "inference:1", "pullSecrets": ["registry"]},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": "s3://voices/", "secretName": "store"},
        "stages": {"train": {"resources": {"limits": {"memory": "8Gi"}}, "tolerations": [OWN]}},
    }
    return Settings.model_validate(document | changes)


def a_voice(**spec: Any) -> Voice:
    wanted = {
        "language": "en",
        "base": "tiny",
        "dataset": {"uri": "s3://data/alice/"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    return Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(wanted | spec), VoiceModelStatus())


def pod_of(stage: Any, **compute: Any) -> dict[str, Any]:
    job = stage_job(a_voice(compute=compute), StartJob(stage, 1), HASH, some_settings())
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def test_a_stage_pod_keeps_the_restricted_standard() -> None:
    pod = pod_of("train")
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = pod["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume)
    assert "envFrom" not in container


@pytest.mark.parametrize(
    ("stage", "compute", "limits"),
    [
        pytest.param("prepare", {}, None, id="prepare runs on a CPU"),
        pytest.param("train", {}, {"memory": "8Gi", "nvidia.com/gpu": "1"}, id="train runs on a GPU"),
        pytest.param("evaluate", {"gpus": 2}, {"nvidia.com/gpu": "2"}, id="as many GPUs as asked for"),
        pytest.param("train", {"gpus": 0}, {"memory": "8Gi"}, id="no GPU when none is wanted"),
    ],
)
def test_gpus(stage: str, compute: dict[str, Any], limits: dict[str, str] | None) -> None:
    assert pod_of(stage, **compute)["containers"][0]["resources"].get("limits") == limits


RECOGNISER = {
    "uri": "file:///recogniser/small",
    "digest": "sha256:" + "1" * 64,
    "languages": ["ja"],
    "volume": {"persistentVolumeClaim": {"claimName": "whisper"}},
}


@pytest.mark.parametrize(
    ("stage", "language", "used"),
    [("prepare", "ja", True), ("evaluate", "ja", True), ("train", "ja", False), ("prepare", "en", False)],
)
def test_the_recogniser_is_mounted_where_it_is_used(stage: Any, language: str, used: bool) -> None:
    voice, settings = a_voice(language=language), some_settings(recogniser=RECOGNISER)
    pod = stage_job(voice, StartJob(stage, 1), HASH, settings)["spec"]["template"]["spec"]
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == "/recogniser"]
    assert mounts == ([{"name": "recogniser", "mountPath": "/recogniser", "readOnly": True}] if used else [])
    volume = {"name": "recogniser", "persistentVolumeClaim": {"claimName": "whisper"}}
    assert (volume in pod["volumes"]) is used
    document = job_document_config_map(voice, StartJob(stage, 1), HASH, settings)["data"]["job.json"]
    named = {"uri": RECOGNISER["uri"], "digest": RECOGNISER["digest"]} if language == "ja" else None
    assert json.loads(document)["recogniser"] == named


@pytest.mark.parametrize(
    ("capacity", "tolerations", "kind", "operator"),
    [
        pytest.param("Spot", [OWN, GPU_NODE, SPOT], "required", "In", id="spot means spot"),
        pytest.param("SpotThenOnDemand", [OWN, GPU_NODE, SPOT], "preferred", "In", id="spot where there is some"),
        pytest.param("OnDemand", [OWN, GPU_NODE], "required", "NotIn", id="never spot"),
    ],
)
def test_capacity(capacity: str, tolerations: list[Any], kind: str, operator: str) -> None:
    pod = pod_of("train", capacity=capacity)
    assert pod["tolerations"] == tolerations
    (name, terms), *_ = pod["affinity"]["nodeAffinity"].items()
    assert name.startswith(kind)
    assert f'"operator": "{operator}"' in json.dumps(terms)


def test_a_cpu_only_voice_needs_no_special_node() -> None:
    pod = pod_of("evaluate", gpus=0)
    assert "tolerations" not in pod
    assert "affinity" not in pod


def test_exit_codes_and_lost_nodes_are_told_apart() -> None:
    spec = stage_job(a_voice(), StartJob("train", 1), HASH, some_settings())["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    assert [(rule["action"], rule.get("onExitCodes", {}).get("values")) for rule in rules] == [
        ("FailJob", [64, 65, 78]),
        ("FailJob", [90]),
        ("FailJob", None),
        ("Count", [75]),
    ]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (0, "Failed")


def test_the_deadline_is_the_pods_so_that_waiting_does_not_count() -> None:
    spec = stage_job(a_voice(compute={"timeout": "90m"}), StartJob("train", 1), HASH, some_settings())["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 5400
    assert "activeDeadlineSeconds" not in spec


def test_without_spot_nodes_an_attempt_asks_for_on_demand_ones_only() -> None:
    def attempt(capacity: str) -> tuple[str, Any]:
        start = StartJob("train", 2, on_demand_only=True)
        job = stage_job(a_voice(compute={"capacity": capacity}), start, HASH, some_settings())
        return job["metadata"]["labels"]["voice.sovits.dev/capacity"], job["spec"]["template"]["spec"]

    capacity, pod = attempt("SpotThenOnDemand")
    assert (capacity, pod["tolerations"], pod["affinity"]) == (
        "OnDemand",
        [OWN, GPU_NODE],
        pod_of("train", capacity="OnDemand")["affinity"],
    )
    assert attempt("Spot")[0] == "Spot", "the spec has the last word"
    prepare = stage_job(a_voice(), StartJob("prepare", 1), HASH, some_settings())
    assert "voice.sovits.dev/capacity" not in prepare["metadata"]["labels"]


@pytest.mark.parametrize(
    ("factor", "limit", "request_"),
    [
        pytest.param(Fraction(1), "8Gi", 1e9, id="as configured"),
        pytest.param(Fraction(3, 2), "12288Mi", "1431Mi", id="half again, rounded up to Mi"),
        pytest.param(Fraction(2), "16384Mi", "1908Mi", id="twice"),
    ],
)
def test_memory_grows_with_the_attempts_that_ran_out_of_it(factor: Fraction, limit: str, request_: object) -> None:
    resources = {"limits": {"memory": "8Gi", "cpu": 2}, "requests": {"memory": 1e9}}
    settings = some_settings(stages={"train": {"resources": resources}})
    pod = stage_job(a_voice(), StartJob("train", 2, memory_factor=factor), HASH, settings)["spec"]["template"]["spec"]
    found = pod["containers"][0]["resources"]
    assert found["limits"] == {"memory": limit, "cpu": 2, "nvidia.com/gpu": "1"}
    assert found["requests"] == {"memory": request_}


@pytest.mark.parametrize(
    ("stage", "factor"),
    [
        pytest.param({"resources": {"limits": {"memory": "8Gi"}}}, 2, id="twice the limit"),
        pytest.param(
            {"resources": {"limits": {"memory": "8Gi"}}, "maxMemory": "36Gi"}, Fraction(9, 2), id="as it says"
        ),
        pytest.param({"resources": {"requests": {"memory": "8G"}}, "maxMemory": "8G"}, 1, id="not at all"),
        pytest.param({"resources": {"requests": {"memory": "8G"}}}, None, id="without end, where nothing limits it"),
    ],
)
def test_an_attempts_memory_may_grow(stage: dict[str, Any], factor: Fraction | None) -> None:
    settings = some_settings(stages={"train": stage})
    assert job_policy(a_voice(), "train", HASH, settings).max_memory_factor == factor


def template_hash(start: StartJob, settings: Settings | None = None, **compute: Any) -> str:
    job = stage_job(a_voice(compute=compute), start, HASH, settings or some_settings())
    found: str = job["metadata"]["annotations"]["voice.sovits.dev/template-hash"]
    return found


def test_a_job_tells_what_it_was_made_from() -> None:
    first = template_hash(StartJob("train", 1))
    policy = job_policy(a_voice(), "train", HASH, some_settings())
    assert (first, policy.spot_wait) == (policy.template_hash, 600)
    assert template_hash(StartJob("train", 3, 4, Fraction(2), on_demand_only=True)) == first, "attempts do not count"
    assert template_hash(StartJob("train", 1), schedulingTimeout="1h") == first, "which is the operator's clock"
    edits: list[dict[str, Any]] = [{"gpus": 2}, {"capacity": "Spot"}, {"timeout": "1h"}, {"queueName": "gpu"}]
    assert len({first, *(template_hash(StartJob("train", 1), **edit) for edit in edits)}) == 5
    settings = some_settings(images={"trainer": "trainer:2", "inference": "inference:1"})
    assert template_hash(StartJob("train", 1), settings) != first, "a corrected image reaches what cannot be pulled"
    prepare = StartJob("prepare", 1)
    assert template_hash(prepare, gpus=2) == template_hash(prepare), "nor what does not concern the stage"


@pytest.mark.parametrize(
    ("stage", "tells"),
    [
        pytest.param("prepare", True, id="prepare refuses sentences that cannot be spoken"),
        pytest.param("train", False, id="train knows nothing of gates and sentences"),
        pytest.param("evaluate", True, id="evaluate uses them"),
    ],
)
def test_a_job_tells_for_which_gates_and_sentences_it_is(stage: Any, tells: bool) -> None:
    job = stage_job(a_voice(), StartJob(stage, 1), HASH, some_settings())
    other = stage_job(a_voice(evaluation={"texts": ["Hello."]}), StartJob(stage, 1), HASH, some_settings())
    assert (job["metadata"]["annotations"] != other["metadata"]["annotations"]) is tells
    assert job["metadata"]["name"] == other["metadata"]["name"]


def test_queue_and_priority_class_are_labels_of_the_job_and_no_others() -> None:
    compute = {"queueName": "gpu-spot", "priorityClass": "urgent"}
    job = stage_job(a_voice(compute=compute), StartJob("train", 1), HASH, some_settings())
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-spot"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"
    assert "kueue" not in str(job["spec"]["template"]["metadata"]["labels"])
    assert "kueue" not in str(stage_job(a_voice(), StartJob("train", 1), HASH, some_settings()))


def test_the_longest_voice_name_still_makes_a_job_name() -> None:
    assert len(job_name("a" * 40, HASH, "evaluate", 99)) <= 63


def test_the_job_document_is_owned_by_the_voice_and_shared_by_the_attempts_of_a_stage() -> None:
    first = job_document_config_map(a_voice(), StartJob("train", 1), HASH, some_settings())
    second = job_document_config_map(a_voice(), StartJob("train", 2, 2), HASH, some_settings())
    assert first["metadata"] == second["metadata"]
    assert first["metadata"]["ownerReferences"][0]["uid"] == "uid"
    assert json.loads(second["data"]["job.json"])["attempt"] == {"number": 2, "batchSizeDivisor": 2}


def test_a_revision_says_what_it_was_made_from() -> None:
    published = StageOutput(
        "s", "e", uri="s3://voices/studio/alice/revisions/alice-3fa9c2d1", digest="sha256:" + "d" * 64
    )
    dataset = ObservedDataset(uri="s3://data/alice", fingerprint="sha256:" + "e" * 64)
    effect = CreateRevision("alice-3fa9c2d1", published, StageOutput("s", "e", scores={"pesq": "3.9"}))
    revision = voice_revision(a_voice(), effect, HASH, dataset, some_settings())
    assert revision["spec"]["dataset"] == {
        "uri": dataset.uri,
        "digest": "",
        "fingerprint": dataset.fingerprint,
        "denoise": "auto",
        "maxRejected": 20,
    }
    assert revision["spec"]["workspace"] == f"s3://voices/studio/alice/{HASH}"
    assert revision["spec"]["trainerImage"] == "trainer:1"
    assert revision["spec"]["consent"]["holder"] == "Alice A."
    assert "finalizers" not in revision["metadata"], "nobody could remove one once the operator's rights are gone"
    assert revision["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False


SERVER = VoiceServer("voice-system", "default", "uid", 1, VoiceServerSpec(base="tiny", replicas=2))


def test_voices_never_restart_pods() -> None:
    pod = deployment(SERVER, some_settings())["spec"]["template"]
    assert "alice" not in json.dumps(pod)
    assert not any("subPath" in mount for mount in pod["spec"]["containers"][0]["volumeMounts"])
    assert "app.kubernetes.io/version" not in pod["metadata"]["labels"], "nor does an upgrade of the operator"


CA = "-----BEGIN CERTIFICATE-----"
STORE = {
    "storage": {
        "uri": "s3://voices",
        "endpoint": "https://s3.example.com/",
        "region": "eu-central-1",
        "addressing": "virtual",
        "ca": CA,
    },
    "proxy": {"https": "http://proxy:3128", "noProxy": ".svc"},
    "stages": {"serviceAccountName": "stages"},
    "inference": {"serviceAccountName": "speaker"},
}
STORE_VARIABLES = {
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "AWS_REGION": "eu-central-1",
    "VOICE_S3_ADDRESSING": "virtual",
    "HTTPS_PROXY": "http://proxy:3128",
    "NO_PROXY": ".svc",
}


def pods_and_files(settings: Settings) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """The pods of a stage and of a server, each with what its ConfigMap holds."""
    start = StartJob("train", 1)
    document = list_document(SERVER, [], None, 1, settings)
    return [
        (
            stage_job(a_voice(), start, HASH, settings)["spec"]["template"]["spec"],
            job_document_config_map(a_voice(), start, HASH, settings)["data"],
        ),
        (
            deployment(SERVER, settings)["spec"]["template"]["spec"],
            list_config_map(SERVER, document, settings)["data"],
        ),
    ]


def variables_of(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}


def test_pods_know_where_the_store_is_and_whose_certificate_it_has() -> None:
    for pod, files in pods_and_files(some_settings(**STORE)):
        variables = variables_of(pod)
        assert STORE_VARIABLES.items() <= variables.items()
        folder, _, file = variables["AWS_CA_BUNDLE"].rpartition("/")
        assert files[file] == CA
        (name,) = [mount["name"] for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == folder]
        volume = next(found for found in pod["volumes"] if found["name"] == name)
        assert "configMap" in (volume["projected"]["sources"][0] if "projected" in volume else volume)


def test_without_a_secret_pods_get_keys_by_their_service_account_and_still_no_token() -> None:
    pods = [pod for pod, _ in pods_and_files(some_settings(**STORE))]
    assert [pod["serviceAccountName"] for pod in pods] == ["stages", "speaker"]
    assert not any(volume["name"] == "store-keys" for pod in pods for volume in pod["volumes"])
    assert not any("VOICE_S3_CREDENTIALS_DIR" in variables_of(pod) for pod in pods)
    assert not any(pod["automountServiceAccountToken"] for pod in pods)


def test_a_store_on_aws_with_keys_needs_only_the_secret() -> None:
    for pod, files in pods_and_files(some_settings()):
        named = {name for name in variables_of(pod) if name.startswith(("AWS_", "VOICE_S3", "HTTP"))}
        assert named == {"VOICE_S3_CREDENTIALS_DIR"}
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "store-keys"]
        assert volume["secret"] == {"secretName": "store", "defaultMode": 0o440}
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]]
        assert mount["readOnly"]
        assert mount["mountPath"] == variables_of(pod)["VOICE_S3_CREDENTIALS_DIR"]
        assert "envFrom" not in pod["containers"][0], "children inherit the environment"
        assert "serviceAccountName" not in pod
        assert len(files) == 1


def test_an_administrator_may_overrule_the_stores_variables_of_a_server() -> None:
    settings = some_settings(**STORE | {"inference": {"environment": {"AWS_REGION": "eu-west-1"}}})
    pod = deployment(SERVER, settings)["spec"]["template"]["spec"]
    assert [found["value"] for found in pod["containers"][0]["env"] if found["name"] == "AWS_REGION"] == ["eu-west-1"]


def test_a_voice_without_a_base_is_made_from_the_one_it_began_with() -> None:
    settings = some_settings(bases={"tiny": {"uri": "embedded:tiny"}, "large": {"uri": "s3://bases/large"}})

    def base(voice: Voice) -> str:
        data = job_document_config_map(voice, StartJob("train", 1), HASH, settings)["data"]
        return str(json.loads(data["job.json"])["base"]["name"])

    silent = replace(a_voice(base=None), default_base="large")
    assert base(silent) == "large", "the installation's"
    assert base(replace(silent, status=VoiceModelStatus(base="tiny"))) == "tiny", "a changed default trains nothing"
    assert base(replace(a_voice(base="large"), status=VoiceModelStatus(base="tiny"))) == "large", (
        "spec has the last word"
    )


def test_a_server_finds_the_operator_only_where_there_is_a_url() -> None:
    def environment(**changes: Any) -> dict[str, str]:
        pod = deployment(SERVER, some_settings(**changes))["spec"]["template"]["spec"]
        return {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}

    assert "VOICE_OPERATOR_URL" not in environment()
    told = environment(operatorUrl="http://operator:8080/")
    assert told["VOICE_OPERATOR_URL"] == "http://operator:8080/servers/voice-system/default/voices.json"


def test_bare_names_are_told_to_the_server_only_where_they_mean_something() -> None:
    def environment(**changes: Any) -> dict[str, str]:
        pod = deployment(SERVER, some_settings(**changes))["spec"]["template"]["spec"]
        return {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}

    assert "VOICE_BARE_NAMES" not in environment(), "an upgrade changes no pod"
    assert environment(inference={"bareNames": "studio"})["VOICE_BARE_NAMES"] == "studio"


def test_the_keys_of_a_server_are_mounted_as_a_folder_and_others_have_none() -> None:
    def pod(**spec: Any) -> dict[str, Any]:
        wanted = SERVER.spec.model_copy(update=spec)
        settings = some_settings(inference={"environment": {"VOICE_KEYS": "/tmp"}})
        found: dict[str, Any] = deployment(replace(SERVER, spec=wanted), settings)["spec"]["template"]["spec"]
        return found

    keyed = pod(keys_secret="voice-keys")
    (container,) = keyed["containers"]
    (volume,) = [one for one in keyed["volumes"] if one["name"] == "api-keys"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "api-keys"]
    assert volume["secret"] == {"secretName": "voice-keys", "defaultMode": 0o440}
    assert mount == {"name": "api-keys", "mountPath": "/etc/voice/keys", "readOnly": True}
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["VOICE_KEYS"] == "/etc/voice/keys", "no variable of the installation opens the server"
    assert not [one for one in pod()["volumes"] if one["name"] == "api-keys"]


def test_a_server_with_a_certificate_speaks_https_alone() -> None:
    def made(**spec: Any) -> tuple[VoiceServer, dict[str, Any]]:
        server = replace(SERVER, spec=SERVER.spec.model_copy(update=spec))
        found: dict[str, Any] = deployment(server, some_settings())["spec"]["template"]["spec"]
        return server, found

    server, pod = made(tls_secret="voice-tls")
    (container,) = pod["containers"]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "tls"]
    items = [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}]
    assert volume["secret"] == {"secretName": "voice-tls", "defaultMode": 0o440, "items": items}
    assert {"name": "tls", "mountPath": "/etc/voice/tls", "readOnly": True} in container["volumeMounts"]
    assert {"name": "VOICE_TLS", "value": "/etc/voice/tls"} in container["env"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert {(probe["port"], probe["scheme"]) for probe in probes} == {("https", "HTTPS")}
    assert [port["name"] for port in container["ports"]] == ["https"]
    (port,) = service(server)["spec"]["ports"]
    assert port == {"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}
    assert endpoint("voice-system", "default", server.spec) == "https://default.voice-system.svc"


def test_a_server_without_a_certificate_stays_as_it_was() -> None:
    pod = deployment(SERVER, some_settings())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert [port["name"] for port in container["ports"]] == ["http"]
    assert not [one for one in pod["volumes"] if one["name"] == "tls"]
    (port,) = service(SERVER)["spec"]["ports"]
    assert port == {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}


def test_a_server_that_reviews_tokens_has_one_of_its_own_and_others_have_none() -> None:
    def pod(**inference: Any) -> dict[str, Any]:
        found: dict[str, Any] = deployment(SERVER, some_settings(inference=inference))["spec"]["template"]["spec"]
        return found

    reviewing = pod(tokenReview=True)
    (container,) = reviewing["containers"]
    (volume,) = [one for one in reviewing["volumes"] if one["name"] == "api-access"]
    token, authorities = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3607}
    assert authorities["configMap"]["name"] == "kube-root-ca.crt"
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "api-access"]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert {"name": "VOICE_TOKEN_REVIEW", "value": "true"} in container["env"]
    assert reviewing["automountServiceAccountToken"] is False
    assert "serviceAccountToken" not in json.dumps(pod())


def test_the_service_selects_the_pods() -> None:
    labels = deployment(SERVER, some_settings())["spec"]["template"]["metadata"]["labels"]
    assert service(SERVER)["spec"]["selector"].items() <= labels.items()
