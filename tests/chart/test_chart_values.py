"""Wrong values are refused before anything is installed, with a sentence that names the key."""

import json
from collections.abc import Iterator

import pytest
import yaml


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param({"storag": {}}, ["storag"], id="an unknown section"),
        pytest.param({"storage": {"bucket": "voices"}}, ["/storage", "bucket"], id="an unknown key in a section"),
        pytest.param({"stages": {"training": {}}}, ["/stages", "training"], id="an unknown stage"),
        pytest.param({"stages": {"train": {"gpu": 1}}}, ["/stages/train", "gpu"], id="an unknown key of a stage"),
        pytest.param({"stages": {"spotWait": "10 minutes"}}, ["/stages/spotWait"], id="a duration that is none"),
        pytest.param({"stages": {"train": {"maxMemory": 32}}}, ["/stages/train/maxMemory"], id="a number for memory"),
        pytest.param({"serving": {"replicas": "2"}}, ["/serving/replicas", "integer"], id="a number in quotes"),
        pytest.param(
            {"serving": {"name": "Default"}}, ["/serving/name", "Default"], id="a name that Kubernetes refuses"
        ),
        pytest.param(
            {"storage": {"uri": "https://voices"}}, ["/storage/uri", "https://voices"], id="a store that is not S3"
        ),
        pytest.param(
            {"storage": {"endpoint": "s3.storage.svc:9000"}}, ["/storage/endpoint"], id="an endpoint without scheme"
        ),
        pytest.param(
            {"storage": {"secretNamespaces": "studio"}}, ["/storage/secretNamespaces", "array"], id="a text for a list"
        ),
        pytest.param({"bases": {"v2Pro": {"digest": ""}}}, ["/bases/v2Pro", "uri"], id="a base without uri"),
        pytest.param(
            {"bases": {"v2Pro": {"uri": "s3://b/v2Pro", "digest": "abc"}}},
            ["/bases/v2Pro/digest"],
            id="a digest that is none",
        ),
        pytest.param(
            {"bases": {"-x": {"uri": "s3://b/x"}}}, ["propertyName '-x'"], id="a base that no voice could name"
        ),
        pytest.param(
            {"images": {"pullPolicy": "Sometimes"}}, ["/images/pullPolicy", "IfNotPresent"], id="an unknown pull policy"
        ),
        pytest.param(
            {"images": {"registry": "https://registry.example.com"}},
            ["/images/registry"],
            id="a registry with a scheme",
        ),
        pytest.param({"operator": {"replicas": -1}}, ["/operator/replicas"], id="less than no operator"),
        pytest.param({"operator": {"logFormat": "xml"}}, ["/operator/logFormat"], id="a form of log that is none"),
        pytest.param(
            {"operator": {"resources": {"limits": {"memory": "lots"}}}},
            ["/operator/resources/limits/memory"],
            id="a quantity that is none",
        ),
        pytest.param(
            {"inference": {"environment": {"THREADS": 2}}},
            ["/inference/environment/THREADS"],
            id="a variable that is no text",
        ),
        pytest.param(
            {"watchNamespaces": ["Studio"]}, ["/watchNamespaces/0", "Studio"], id="a namespace that cannot exist"
        ),
        pytest.param(
            {"podDisruptionBudget": {"maxUnavailable": 0}},
            ["/podDisruptionBudget/maxUnavailable"],
            id="a budget that blocks every drain",
        ),
        pytest.param({"service": {"port": 99999}}, ["/service/port"], id="a port that is none"),
        pytest.param(
            {"storage": {"addressing": "dns"}}, ["/storage/addressing", "virtual"], id="an unknown addressing"
        ),
        pytest.param({"storage": {"caConfigMap": "My CA"}}, ["/storage/caConfigMap"], id="no ConfigMap's name"),
        pytest.param({"proxy": {"https": "proxy:3128"}}, ["/proxy/https"], id="a proxy without scheme"),
        pytest.param({"proxy": {"noProxy": "a,b"}}, ["/proxy/noProxy", "array"], id="hosts in one text"),
        pytest.param(
            {"tenancy": {"datasets": ["voices/datasets"]}}, ["/tenancy/datasets/0"], id="a prefix without its store"
        ),
        pytest.param(
            {"tenancy": {"datasets": ["s3://voices/../x"]}}, ["/tenancy/datasets/0"], id="a prefix that leads out"
        ),
        pytest.param(
            {"tenancy": {"namespaces": {"studio": {"dataset": []}}}},
            ["/tenancy/namespaces/studio", "dataset"],
            id="an exception of nothing",
        ),
        pytest.param({"tenancy": {"servers": ["default"]}}, ["/tenancy/servers/0"], id="a server without namespace"),
        pytest.param({"policy": {"gates": [{"metric": "pesq"}]}}, ["/policy/gates/0"], id="a gate without a bound"),
        pytest.param({"policy": {"max": {"gpu": 1}}}, ["/policy/max", "gpu"], id="a maximum of nothing"),
        pytest.param({"policy": {"max": {"timeout": "1 day"}}}, ["/policy/max/timeout"], id="a time that is none"),
        pytest.param({"inference": {"bareNames": "Studio"}}, ["/inference/bareNames"], id="bare names of nobody"),
        pytest.param({"serving": {"allowedNamespaces": "*"}}, ["/serving/allowedNamespaces"], id="a text for names"),
        *(
            pytest.param(
                {"alerts": {"targets": [{"name": "t", "kind": "slack"} | target]}}, ["/alerts/targets/0"], id=case
            )
            for case, target in {
                "a target without an address": {},
                "a target with two": {"url": "https://a", "urlSecret": {"name": "s", "key": "k"}},
                "a password in an address": {"url": "https://user:pass@a/"},
                "an address of a file": {"url": "file:///etc/passwd"},
                "an unknown alert": {"url": "https://a", "alerts": ["Everything"]},
                "a target of an unknown kind": {"url": "https://a", "kind": "pager"},
                "a Secret without a key": {"urlSecret": {"name": "s"}},
            }.items()
        ),
        pytest.param(
            {"stages": {"pod": {"hostNetwork": True}}}, ["/stages/pod", "hostNetwork"], id="the node's network"
        ),
        pytest.param(
            {"inference": {"pod": {"env": {"A": "b"}}}}, ["/inference/pod/env", "array"], id="a map of variables"
        ),
        pytest.param({"podSecurity": {"runAsUser": 0}}, ["/podSecurity/runAsUser"], id="root"),
        pytest.param({"stages": {"serviceAccount": "x"}}, ["/stages/serviceAccount", "object"], id="an account's name"),
    ],
)
def test_the_schema_refuses_and_names_the_key(chart, values, named):
    refusal = chart.refusal(values)
    assert "values don't meet the specifications of the schema" in refusal
    for word in named:
        assert word in refusal


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param({"storage": {"accessKey": "a"}}, "storage.secretKey is empty", id="half of the keys"),
        pytest.param({"storage": {"secretKey": "a"}}, "storage.accessKey is empty", id="the other half"),
        pytest.param({"storage": {"sessionToken": "t"}}, "storage.accessKey is empty", id="a token without keys"),
        pytest.param(
            {"defaultBase": "v2Pro"}, 'defaultBase is "v2Pro", which is not in bases (tiny)', id="a default of nothing"
        ),
        pytest.param(
            {part: {"serviceAccount": {"create": True, "name": "pods"}} for part in ("stages", "inference")},
            'stages.serviceAccount.name and inference.serviceAccount.name are both "pods"',
            id="one ServiceAccount made twice",
        ),
        pytest.param(
            {"storage": {"existingSecret": "s", "accessKey": "a"}},
            "storage.existingSecret excludes storage.accessKey",
            id="keys twice",
        ),
        pytest.param(
            {"alerts": {"targets": [{"name": "a", "kind": "slack", "url": "https://a"}] * 2}},
            "alerts.targets: a is there twice",
            id="one target twice",
        ),
        pytest.param(
            {"serving": {"base": "v2Pro"}},
            'serving.base is "v2Pro", which is not in bases (tiny)',
            id="a base that is not there",
        ),
        pytest.param(
            {"serving": {"autoscaling": {"maxReplicas": 3}}, "policy": {"max": {"replicas": 2}}},
            "serving.autoscaling.maxReplicas is 3, but policy.max.replicas allows 2",
            id="more pods under load than the policy allows",
        ),
        pytest.param(
            {"serving": {"replicas": 3}, "policy": {"max": {"replicas": 2}}},
            "serving.replicas is 3, but policy.max.replicas allows 2",
            id="more pods than the policy allows",
        ),
        pytest.param(
            {"policy": {"serverNamePattern": "voice-.*"}},
            'serving.name is "default", which policy.serverNamePattern (voice-.*) does not match',
            id="a server whose name the policy refuses",
        ),
        pytest.param(
            {"serving": {"name": "voice-operator"}},
            'serving.name is "voice-operator"',
            id="a server named like the operator",
        ),
        pytest.param(
            {"inference": {"tokenReview": True}},
            "inference.tokenReview is true, but the pods have no ServiceAccount of their own",
            id="reviews by nobody",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_a_sentence(chart, values, sentence):
    assert sentence in chart.refusal(values)


def leaves(values: dict[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value by its dotted name; `resources` is one value."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key != "resources":
            yield from leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def test_the_readme_tells_every_value_and_its_default(chart):
    readme = (chart.folder / "README.md").read_text()
    for name, default in leaves(yaml.safe_load((chart.folder / "values.yaml").read_text())):
        assert f"| `{name}` | `{json.dumps(default)}` |" in readme


def test_every_object_of_the_schema_is_closed(chart):
    schema = json.loads((chart.folder / "values.schema.json").read_text())

    def open_objects(part: object, where: str) -> Iterator[str]:
        if isinstance(part, dict):
            if (
                "properties" in part
                and isinstance(part["properties"], dict)
                and part.get("additionalProperties") is not False
            ):
                yield where
            for key, value in part.items():
                if key not in {"if", "then"}:  # conditions on an object that is described beside them
                    yield from open_objects(value, f"{where}/{key}")

    assert list(open_objects(schema, "")) == []
