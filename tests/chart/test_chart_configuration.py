"""The chart writes the operator's configuration; the operator's own reader must understand all of it."""

import pytest
import yaml

from voice_operator.settings import Settings


@pytest.fixture
def read(chart, tmp_path):
    """Return a function from values to the settings that the operator would run with."""

    def settings(values=None):
        config = tmp_path / "config.yaml"
        config.write_text(chart.one("ConfigMap", values)["data"]["config.yaml"])
        return Settings.load(config, namespace="voice-system")

    return settings


def test_a_fresh_installation_is_understood(read):
    settings = read()
    assert settings.images.trainer == "voice-trainer:0.1.0"
    assert settings.images.inference == "voice-inference:0.1.0"
    assert settings.bases["tiny"].uri == "embedded:tiny"
    assert settings.storage.uri == "s3://voices"
    assert settings.storage.secret_name == "voice-operator-s3"
    assert settings.watch_namespaces == ()
    assert settings.default_server is not None
    assert (settings.default_server.namespace, settings.default_server.name) == ("voice-system", "default")
    assert settings.operator_url == "http://voice-operator.voice-system.svc:8080"


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
            "storage": {"uri": "s3://my-voices/production/", "existingSecret": "keys"},
            "stages": {
                "prepare": {"scratch": "5Gi"},
                "train": {
                    "resources": {"limits": {"memory": "32Gi"}},
                    "nodeSelector": {"pool": "gpu"},
                    "tolerations": [toleration],
                },
            },
            "inference": {"cache": "1Gi", "environment": {"OMP_NUM_THREADS": "2"}, "nodeSelector": {"pool": "cpu"}},
            "serving": {"create": False},
            "watchNamespaces": ["studio"],
            "operator": {"workers": 8, "resyncSeconds": 60},
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
    assert settings.stages.prepare.scratch == "5Gi"
    assert settings.stages.train.resources["limits"]["memory"] == "32Gi"
    assert settings.stages.train.node_selector == {"pool": "gpu"}
    assert settings.stages.train.tolerations == (toleration,)
    assert settings.inference.cache == "1Gi"
    assert settings.inference.environment == {"OMP_NUM_THREADS": "2"}
    assert settings.inference.node_selector == {"pool": "cpu"}
    assert settings.default_server is None
    assert settings.watch_namespaces == ("studio", "voice-system")
    assert settings.workers == 8
    assert settings.resync_seconds == 60


def test_the_example_values_are_understood(read, example_values):
    for values in example_values.values():
        settings = read(values)
        assert values.get("serving", {}).get("base", "tiny") in settings.bases
    production = read(example_values["production"])
    assert all(base.digest or base.uri.startswith("embedded:") for base in production.bases.values())
