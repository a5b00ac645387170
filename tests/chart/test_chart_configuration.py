"""The chart writes the operator's configuration; the operator's own reader must understand all of it."""

import json
from typing import get_args

import pytest
import yaml

from voice_operator.manifests.pod_check import check_pods
from voice_operator.reconcile.alerts import AlertKind
from voice_operator.settings import Settings


@pytest.fixture
def read(chart, tmp_path):
    """Return a function from values to the settings that the operator would run with."""

    def settings(values=None):
        config, authority = tmp_path / "config.yaml", tmp_path / "ca.crt"
        authority.write_text("-----BEGIN CERTIFICATE-----\n")  # what the operator's pod mounts
        text = chart.one("ConfigMap", values)["data"]["config.yaml"]
        config.write_text(text.replace("/etc/voice-operator-ca/ca.crt", str(authority)))
        return Settings.load(config, namespace="voice-system")

    return settings


def test_a_fresh_installation_is_understood(read):
    settings = read()
    assert settings.images.trainer == "voice-trainer:0.1.0"
    assert settings.images.inference == "voice-inference:0.1.0"
    assert settings.bases["tiny"].uri == "embedded:tiny"
    assert settings.storage.uri == "s3://voices"
    assert settings.storage.secret_name == "", "without keys there is no Secret"
    assert settings.default_base == "tiny"
    assert settings.storage.environment() == {}, "AWS, or what the Secret of an earlier version says"
    assert settings.proxy.environment() == {}
    assert settings.stages.service_account_name == settings.inference.service_account_name == ""
    assert settings.watch_namespaces == ()
    assert settings.default_server is not None
    assert (settings.default_server.namespace, settings.default_server.name) == ("voice-system", "default")
    open_to_all = {"allowedNamespaces": ["*"], "maxVoices": 1000}
    assert settings.default_server.spec == {"base": "tiny", "replicas": 1, "zeroWithoutVoices": False} | open_to_all
    assert (settings.pod_disruption_budget.enabled, settings.pod_disruption_budget.max_unavailable) == (True, 1)
    assert settings.operator_url == "http://voice-operator.voice-system.svc:8080"


def test_stages_may_wait_and_grow_as_the_values_say(read):
    fresh = read().stages
    assert (fresh.spot_wait_seconds, fresh.train.max_memory_factor, fresh.evaluate.max_memory_factor) == (600, 2, 2)
    stages = read({"stages": {"spotWait": "1h30m", "train": {"maxMemory": "64Gi"}}}).stages
    assert (stages.spot_wait_seconds, stages.train.max_memory_factor) == (5400, 4)


def test_the_address_is_that_of_the_service(chart, read):
    values = {"service": {"port": 9090}, "fullnameOverride": "voices"}
    service = chart.one("Service", values, name="voices")
    config = yaml.safe_load(chart.one("ConfigMap", values, name="voices")["data"]["config.yaml"])
    assert (
        config["operatorUrl"]
        == f"http://{service['metadata']['name']}.voice-system.svc:{service['spec']['ports'][0]['port']}"
    )
    (container,) = chart.one("Deployment", values, name="voices")["spec"]["template"]["spec"]["containers"]
    assert f":{container['ports'][0]['containerPort']}" in read().listen


def test_the_pod_reads_the_file_that_the_config_map_holds(chart):
    pod = chart.one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (volume,) = [volume for volume in pod["volumes"] if "configMap" in volume]
    assert environment["VOICE_OPERATOR_CONFIG"] == f"{mounts[volume['name']]}/config.yaml"
    assert set(chart.one("ConfigMap", name=volume["configMap"]["name"])["data"]) == {"config.yaml"}


STORE = {
    "storage": {"endpoint": "https://s3.example.com/", "region": "eu-1", "addressing": "virtual"},
    "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3129", "noProxy": ["s3.example.com"]},
}


def test_the_operator_reaches_the_store_as_its_children_do(chart, read):
    """The chart writes the same into the operator's environment as the operator into its children's."""
    settings = read(STORE)
    (container,) = chart.one("Deployment", STORE)["spec"]["template"]["spec"]["containers"]
    own = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    children = settings.storage.environment() | settings.proxy.environment()
    assert children["AWS_ENDPOINT_URL_S3"] == "https://s3.example.com"
    assert {"AWS_REGION", "VOICE_S3_ADDRESSING", "HTTP_PROXY", "HTTPS_PROXY"} < children.keys()
    assert {"s3.example.com", ".svc", "169.254.169.254"} <= set(children["NO_PROXY"].split(","))
    assert own.pop("NO_PROXY") == children.pop("NO_PROXY") + ",$(KUBERNETES_SERVICE_HOST)", "no proxy to the API server"
    assert children.items() <= own.items()
    assert own.keys() == children.keys() | {"VOICE_OPERATOR_CONFIG"}


def test_the_operator_has_the_authorities_where_its_configuration_says(chart):
    values = {"storage": {"caConfigMap": "store-ca", "endpoint": "https://s3.example.com"}}
    pod = chart.one("Deployment", values)["spec"]["template"]["spec"]
    config = yaml.safe_load(chart.one("ConfigMap", values)["data"]["config.yaml"])
    (container,) = pod["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (volume,) = [volume for volume in pod["volumes"] if volume.get("configMap", {}).get("name") == "store-ca"]
    (item,) = volume["configMap"]["items"]
    assert item["key"] == "ca.crt"
    assert environment["AWS_CA_BUNDLE"] == config["storage"]["caFile"] == f"{mounts[volume['name']]}/{item['path']}"


def test_the_server_gets_the_default_base_unless_told_otherwise(chart):
    bases = {"v2Pro": {"uri": "s3://bases/v2Pro"}}

    def base(values):
        config = yaml.safe_load(chart.one("ConfigMap", values)["data"]["config.yaml"])
        return config["defaultServer"]["spec"]["base"]

    assert base({}) == "tiny"
    assert base({"bases": bases, "defaultBase": "v2Pro"}) == "v2Pro"
    assert base({"bases": bases, "defaultBase": "v2Pro", "serving": {"base": "tiny"}}) == "tiny"


def test_the_policy_for_inference_pods_opens_the_port_they_listen_on(chart, read):
    policy = chart.one("NetworkPolicy", name="voice-operator-inference")
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": read().inference.port}]


def test_all_that_an_administrator_may_decide_arrives(read):
    toleration = {"key": "dedicated", "operator": "Equal", "value": "voices", "effect": "NoSchedule"}
    settings = read(
        {
            "images": {
                "registry": "r.example.com",
                "pullPolicy": "Always",
                "pullSecrets": ["pull"],
                "trainer": {"ref": "trainer:dev"},
            },
            "bases": {"v2Pro": {"uri": "s3://bases/v2Pro", "digest": f"sha256:{'a' * 64}"}},
            "defaultBase": "v2Pro",
            "storage": {"uri": "s3://my-voices/production/", "existingSecret": "keys"},
            "stages": {
                "serviceAccount": {"name": "trainer"},
                "prepare": {"scratch": "5Gi"},
                "train": {
                    "resources": {"limits": {"memory": "32Gi"}},
                    "nodeSelector": {"pool": "gpu"},
                    "tolerations": [toleration],
                },
            },
            "inference": {
                "serviceAccount": {"create": True},
                "cache": "1Gi",
                "tokenReview": True,
                "environment": {"OMP_NUM_THREADS": "2"},
                "nodeSelector": {"pool": "cpu"},
            },
            "serving": {"create": False},
            "watchNamespaces": ["studio"],
            "operator": {"workers": 8, "resyncSeconds": 60, "maxConcurrentTrainings": 3},
        }
    )
    assert settings.images.trainer == "trainer:dev"
    assert settings.images.inference == "r.example.com/voice-inference:0.1.0"
    assert settings.images.pull_policy == "Always"
    assert settings.images.pull_secrets == ("pull",)
    assert set(settings.bases) == {"tiny", "v2Pro"}
    assert settings.bases["v2Pro"].digest == f"sha256:{'a' * 64}"
    assert settings.storage.uri == "s3://my-voices/production"
    assert settings.storage.secret_name == "keys"
    assert settings.default_base == "v2Pro"
    assert settings.stages.service_account_name == "trainer"
    assert settings.inference.service_account_name == "voice-operator-inference"
    assert settings.stages.prepare.scratch == "5Gi"
    assert settings.stages.train.resources["limits"]["memory"] == "32Gi"
    assert settings.stages.train.node_selector == {"pool": "gpu"}
    assert settings.stages.train.tolerations == (toleration,)
    assert settings.inference.cache == "1Gi"
    assert settings.inference.token_review
    assert settings.inference.environment == {"OMP_NUM_THREADS": "2"}
    assert settings.inference.node_selector == {"pool": "cpu"}
    assert settings.default_server is None
    assert settings.watch_namespaces == ("studio", "voice-system")
    assert settings.workers == 8
    assert settings.resync_seconds == 60
    assert settings.max_concurrent_trainings == 3


def test_kueue_is_watched_where_the_values_say_so(read):
    assert not read().kueue.enabled
    assert read({"kueue": {"enabled": True}}).kueue.enabled


def test_what_is_added_to_pods_arrives_as_it_was_written(read):
    pod = {"labels": {"team": "a"}, "patch": {"metadata": {"annotations": {"a": None}}}}
    settings = read({"podSecurity": {"runAsUser": None}, "stages": {"pod": pod, "train": {"pod": pod}}})
    assert settings.pod_security.ids == {}
    assert settings.stages.pod == settings.stages.train.pod
    assert settings.stages.pod.patch == pod["patch"], "null takes a field away"
    assert read({"podSecurity": {"runAsGroup": 0, "fsGroup": None}}).pod_security.ids == {
        "runAsUser": 65532,
        "runAsGroup": 0,
    }


def test_the_targets_of_alerts_are_understood(read):
    assert read().alerts.targets == ()
    secret = {"name": "alerting", "key": "slack-url"}
    slack = {"name": "team", "kind": "slack", "urlSecret": secret, "alerts": ["GatesFailed"], "namespaces": ["studio"]}
    hook = {
        "name": "audit",
        "kind": "cloudevents",
        "mode": "binary",
        "url": "http://sink.audit.svc:8080/?a=b",
        "hmacSecret": {"name": "alerting", "key": "key"},
    }
    alerts = read({"alerts": {"targets": [slack, hook], "consentExpiryDays": 30}}).alerts
    assert alerts.consent_expiry_days == 30
    first, second = alerts.targets
    assert str(first.url_file) == "/etc/voice-operator-alerts/team/url"
    assert (first.url, first.hmac_file, first.alerts, first.namespaces) == (None, None, ("GatesFailed",), ("studio",))
    assert str(second.hmac_file) == "/etc/voice-operator-alerts/audit/hmac"
    assert (second.url, second.url_file, second.mode) == (hook["url"], None, "binary")


def test_the_schema_knows_each_alert_of_the_operator(chart):
    schema = json.loads((chart.folder / "values.schema.json").read_text())
    known = schema["definitions"]["alertTarget"]["properties"]["alerts"]["items"]["enum"]
    assert known == list(get_args(AlertKind))


def test_the_example_values_are_understood(read, example_values):
    for values in example_values.values():
        settings = read(values)
        check_pods(settings)
        assert values.get("serving", {}).get("base", settings.default_base) in settings.bases
    assert read(example_values["openshift"]).pod_security.ids == {}
    assert read(example_values["airgapped"]).bases["v2Pro"].volume
    production = read(example_values["production"])
    assert production.storage.environment() == {"AWS_REGION": "eu-central-1"}, "AWS needs no address"
    assert production.storage.secret_name == "", "nor keys"
    assert all(base.digest or base.uri.startswith("embedded:") for base in production.bases.values())
