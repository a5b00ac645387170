"""What the chart renders: valid objects, least rights, hardened pods, and the Secret where it is needed."""

import json

import pytest
import yaml

from voice_operator.manifests import labels
from voice_operator.manifests.revocation_list import SHARDS

BASES = {"tiny": {"uri": "embedded:tiny"}, "v2Pro": {"uri": "s3://voices/bases/v2Pro", "digest": f"sha256:{'0' * 64}"}}

KEYS = {"accessKey": "key", "secretKey": "secret"}

VALUE_SETS = {
    "defaults": {},
    "namespaced": {"watchNamespaces": ["studio", "voice-system"], "rbac": {"aggregate": False}},
    "existing Secret": {"storage": {"existingSecret": "s3-keys", "endpoint": "https://s3.example.com"}},
    "web identity": {
        "storage": {"region": "eu-central-1", "secretNamespaces": ["studio"]},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/operator"}},
        "stages": {"serviceAccount": {"create": True, "annotations": {"eks.amazonaws.com/role-arn": "arn:stages"}}},
        "inference": {"serviceAccount": {"create": True, "name": "speaker"}},
    },
    "everything on": {
        "images": {
            "registry": "registry.example.com/voices/",
            "pullSecrets": ["pull"],
            "trainer": {"digest": f"sha256:{'a' * 64}"},
        },
        "bases": BASES,
        "storage": {
            "endpoint": "https://s3.storage.svc:9000",
            "region": "eu-central-1",
            "addressing": "virtual",
            "caConfigMap": "store-ca",
            "accessKey": "key",
            "secretKey": "secret",
            "secretNamespaces": ["studio", "voice-system"],
        },
        "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3129", "noProxy": ["s3.example.com"]},
        "defaultBase": "v2Pro",
        "serving": {"base": "v2Pro", "replicas": 3, "resources": {"limits": {"memory": "8Gi", "cpu": 4}}},
        "inference": {"environment": {"OMP_NUM_THREADS": "2"}},
        "stages": {"train": {"tolerations": [{"key": "gpu", "operator": "Exists"}], "nodeSelector": {"pool": "gpu"}}},
        "operator": {
            "extraEnv": [{"name": "TZ", "value": "Europe/Berlin"}],
            "affinity": {"nodeAffinity": {}},
            "podAnnotations": {"a": "b"},
            "podLabels": {"team": "voices"},
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"pool": "system"},
            "tolerations": [{"operator": "Exists"}],
        },
        "networkPolicy": {
            "metricsFrom": [{"namespaceSelector": {}}],
            "inference": {"from": [{"podSelector": {}}], "extraEgress": [{"ports": [{"port": 1}]}]},
            "operator": {"extraEgress": [{"ports": [{"port": 2}]}]},
            "apiServer": {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]},
            "storage": {"ports": [7070], "to": [{"namespaceSelector": {}}], "podIdentity": False, "instanceRole": True},
            "stages": {"extraEgress": [{"ports": [{"port": 3}]}]},
            "hub": {"ports": [8443], "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]},
        },
        "hub": {"tokenSecret": "hub"},
        "alerts": {
            "targets": [
                {"name": "team", "kind": "slack", "urlSecret": {"name": "alerting", "key": "slack"}},
                {"name": "sink", "kind": "cloudevents", "url": "https://sink:8443/"},
            ]
        },
        "podDisruptionBudget": {"maxUnavailable": "25%"},
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True},
        },
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "as-object"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: as-text-{{ .Release.Name }}}",
        ],
        "serviceAccount": {"annotations": {"role": "voices"}},
        "admission": {"alsoTrusted": {"users": ["velero"], "groups": ["system:masters"]}, "images": ["mirror/t:1"]},
        "nameOverride": "voices",
    },
    "pods as a cluster wants them": {
        "podSecurity": {"runAsUser": None},
        "stages": {
            "gpu": {"resource": "amd.com/gpu", "taint": "amd.com/gpu"},
            "pod": {
                "serviceAccountName": "trainer",
                "volumes": [{"name": "i", "image": {"reference": "r/i:1"}}, {"name": "d", "downwardAPI": {}}],
                "initContainers": [{"name": "s", "image": "s:1", "command": ["run"]}],
                "patch": {"spec": {"priority": None}},
            },
        },
        "inference": {"pod": {"volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]}},
        "bases": {"v2Pro": {"uri": "file:///bases/v2Pro", "volume": {"csi": {"driver": "d"}}}},
    },
    "as little as possible": {
        "serving": {"create": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "crds": {"enabled": False},
        "rbac": {"create": False, "aggregate": False},
        "serviceAccount": {"create": False, "name": "someone"},
        "fullnameOverride": "voices",
    },
}


@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in VALUE_SETS.items()])
def test_every_object_conforms_to_its_schema(chart, conforms, values):
    assert conforms(chart.objects(values)) == []


def test_the_example_values_render_to_conforming_objects(chart, conforms, example_values):
    clouds = {"production", "gke", "aks", "openshift", "minio", "airgapped"}
    assert set(example_values) == clouds | {"dev"}
    for values in example_values.values():
        assert conforms(chart.objects(values)) == []


def test_the_schemas_do_notice_an_unknown_field(chart, conforms):
    deployment = chart.one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    server = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer", "metadata": {"name": "default"}}
    wrong = conforms([deployment, server | {"spec": {"base": "tiny", "replica": 2}}])
    assert len(wrong) == 2
    assert "livenesProbe" in wrong[0]
    assert "replica" in wrong[1]


@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in VALUE_SETS.items()])
def test_every_namespaced_object_names_its_namespace(chart, values):
    policies = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} | policies
    for item in chart.objects(values | {"extraObjects": []}):
        assert item["kind"] in cluster_wide or item["metadata"]["namespace"], item["metadata"]["name"]


def test_the_operator_pod_meets_the_restricted_pod_security_standard(chart):
    deployment = chart.one("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= set(container["resources"])


def test_ids_are_those_of_the_values_and_without_a_user_there_are_none(chart):
    def security(**ids):
        pod = chart.one("Deployment", {"podSecurity": ids, "storage": KEYS})["spec"]["template"]["spec"]
        (keys,) = [one["secret"] for one in pod["volumes"] if "secret" in one]
        given = {
            name: value
            for name, value in pod["securityContext"].items()
            if name.startswith(("runAsU", "runAsG", "fsG"))
        }
        return given, keys["defaultMode"]

    assert security() == ({"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}, 0o440)
    assert security(runAsUser=1000, runAsGroup=0) == ({"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 65532}, 0o440)
    assert security(runAsUser=None) == ({}, 0o444)
    assert security(fsGroup=None) == ({"runAsUser": 65532, "runAsGroup": 65532}, 0o444)


def test_two_operators_run_on_two_nodes_and_never_beside_another_version(chart):
    deployment = chart.one("Deployment")["spec"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "Recreate"}
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"] == deployment["selector"]
    assert chart.one("Deployment", {"operator": {"replicas": 0}})["spec"]["replicas"] == 0


def test_each_operator_knows_its_own_name_and_where_it_is(chart):
    (container,) = chart.one("Deployment")["spec"]["template"]["spec"]["containers"]
    fields = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"] if "valueFrom" in one}
    assert fields == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


def test_the_operator_logs_as_the_values_say(chart):
    def arguments(values):
        return chart.one("Deployment", values)["spec"]["template"]["spec"]["containers"][0]["args"]

    assert arguments({}) == ["run", "--log-level", "info", "--log-format", "json"]
    changed = {"operator": {"logFormat": "text", "logLevel": "debug"}}
    assert arguments(changed) == ["run", "--log-level", "debug", "--log-format", "text"]


@pytest.mark.parametrize("namespaces", [[], ["studio"]])
def test_the_operators_share_the_lease_that_their_configuration_names(chart, namespaces):
    values = {"watchNamespaces": namespaces, "fullnameOverride": "voices"}
    role = chart.one("Role", values, name="voices-lease")
    assert role["metadata"]["namespace"] == "voice-system"
    create, use = role["rules"]
    assert (create["resources"], create["verbs"]) == (["leases"], ["create"])
    lease = yaml.safe_load(chart.one("ConfigMap", values, name="voices")["data"]["config.yaml"])["leaseName"]
    assert (use["resourceNames"], use["verbs"]) == ([lease], ["get", "update"])
    binding = chart.one("RoleBinding", values, name="voices-lease")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "voices", "namespace": "voice-system"}]


@pytest.mark.parametrize(
    ("values", "budgets"),
    [
        pytest.param({}, {"voice-operator"}, id="the operator; it makes those of servers"),
        pytest.param({"operator": {"replicas": 1}}, set(), id="a single operator may move"),
        pytest.param({"podDisruptionBudget": {"enabled": False}}, set(), id="none where none is wanted"),
    ],
)
def test_disruption_budgets(chart, values, budgets):
    objects = chart.objects(values)
    found = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "PodDisruptionBudget"}
    assert found.keys() == budgets
    if "voice-operator" in budgets:
        (deployment,) = [item["spec"] for item in objects if item["kind"] == "Deployment"]
        labels = deployment["template"]["metadata"]["labels"]
        assert found["voice-operator"]["selector"]["matchLabels"].items() <= labels.items()
        assert found["voice-operator"]["maxUnavailable"] == 1


def test_the_operator_is_probed_where_it_listens(chart):
    (container,) = chart.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_service_and_the_policy_select_the_operator_pod(chart):
    labels = chart.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert chart.one("Service")["spec"]["selector"].items() <= labels.items()
    assert chart.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_a_changed_configuration_restarts_the_operator_and_a_changed_key_does_not(chart):
    def annotations(values):
        return chart.one("Deployment", values)["spec"]["template"]["metadata"]["annotations"]

    assert annotations({}) == annotations({"operator": {"resources": {"limits": {"memory": "1Gi"}}}})
    assert annotations({}) != annotations({"bases": BASES})
    assert annotations({"storage": KEYS}) == annotations({"storage": {"accessKey": "other", "secretKey": "secret"}})


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param({}, "voice-operator:0.1.0", id="the chart's version is the default tag"),
        pytest.param({"tag": "v2"}, "voice-operator:v2", id="one tag for all images"),
        pytest.param({"tag": "v2", "operator": {"tag": "v3"}}, "voice-operator:v3", id="an image's own tag wins"),
        pytest.param(
            {"registry": "r.example.com/x"}, "r.example.com/x/voice-operator:0.1.0", id="the registry comes first"
        ),
        pytest.param(
            {"operator": {"digest": f"sha256:{'a' * 64}", "tag": "v3"}},
            f"voice-operator@sha256:{'a' * 64}",
            id="a digest wins over a tag",
        ),
        pytest.param(
            {"registry": "r", "operator": {"ref": "localhost/op:dev"}},
            "localhost/op:dev",
            id="a whole reference wins over all",
        ),
    ],
)
def test_image_references(chart, images, expected):
    (container,) = chart.one("Deployment", {"images": images})["spec"]["template"]["spec"]["containers"]
    assert container["image"] == expected


def test_the_secret_is_made_in_the_release_namespace_and_in_those_named(chart):
    storage = {
        "endpoint": "http://s3:7070",
        "accessKey": "id",
        "secretKey": 'it\'s: "quoted"',
        "sessionToken": "temporary",
        "secretNamespaces": ["studio", "voice-system"],
    }
    secrets = [item for item in chart.objects({"storage": storage}) if item["kind"] == "Secret"]
    assert {item["metadata"]["namespace"] for item in secrets} == {"voice-system", "studio"}
    assert len(secrets) == 2
    assert {item["metadata"]["name"] for item in secrets} == {"voice-operator-s3"}
    assert secrets[0]["stringData"] == {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": 'it\'s: "quoted"',
        "AWS_SESSION_TOKEN": "temporary",
    }, "keys, and nothing that is no secret"


def test_an_existing_secret_is_used_and_none_is_made(chart):
    objects = chart.objects({"storage": {"existingSecret": "s3-keys"}})
    assert not [item for item in objects if item["kind"] == "Secret"]
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    assert volume["secret"] == {"secretName": "s3-keys", "defaultMode": 0o440}
    (container,) = pod["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert mount["readOnly"]
    assert {"name": "VOICE_S3_CREDENTIALS_DIR", "value": mount["mountPath"]} in container["env"]
    assert "envFrom" not in container


def test_without_keys_there_is_no_secret_and_nobody_waits_for_one(chart):
    objects = chart.objects({})
    assert not [item for item in objects if item["kind"] == "Secret"]
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert not [volume for volume in pod["volumes"] if "secret" in volume]
    assert "VOICE_S3_CREDENTIALS_DIR" not in {variable["name"] for variable in pod["containers"][0]["env"]}


def test_the_pods_service_accounts_are_made_where_pods_may_run_and_get_no_token(chart):
    accounts = [item for item in chart.objects(VALUE_SETS["web identity"]) if item["kind"] == "ServiceAccount"]
    made = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in accounts}
    names = ("voice-operator-stages", "speaker")
    places = {(namespace, name) for namespace in ("studio", "voice-system") for name in names}
    assert made.keys() == places | {("voice-system", "voice-operator")}
    assert not any(item["automountServiceAccountToken"] for item in accounts)
    annotations = made["studio", "voice-operator-stages"]["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": "arn:stages"}
    bound = [item for item in chart.objects(VALUE_SETS["web identity"]) if item["kind"].endswith("RoleBinding")]
    assert {subject["name"] for item in bound for subject in item["subjects"]} == {"voice-operator"}


def test_only_a_server_that_lets_in_service_accounts_may_review_tokens(chart):
    inference = {"tokenReview": True, "serviceAccount": {"create": True}}
    storage = {"uri": "s3://voices", "secretNamespaces": ["studio"]}

    def reviews(values):
        found = [item for item in chart.objects(values) if item["metadata"]["name"].endswith("token-review")]
        return {item["kind"]: item for item in found}

    made = reviews({"inference": inference, "storage": storage})
    assert rights([made["ClusterRole"]]) == {("authentication.k8s.io", "tokenreviews", "create")}
    subjects = {(one["namespace"], one["name"]) for one in made["ClusterRoleBinding"]["subjects"]}
    assert subjects == {("studio", "voice-operator-inference"), ("voice-system", "voice-operator-inference")}
    assert reviews({"storage": storage}) == {}


def test_the_chart_gives_its_server_the_keys_that_values_name(chart):
    def server(values):
        config = yaml.safe_load(chart.one("ConfigMap", values)["data"]["config.yaml"])
        return config["defaultServer"]["spec"]

    assert server({"serving": {"keysSecret": "voice-keys"}})["keysSecret"] == "voice-keys"
    assert "keysSecret" not in server({})
    assert server({"serving": {"tlsSecret": "voice-tls"}})["tlsSecret"] == "voice-tls"
    assert "tlsSecret" not in server({})
    assert server({"serving": {"replicas": None}}).keys() == {
        "base",
        "allowedNamespaces",
        "maxVoices",
        "zeroWithoutVoices",
    }
    scaling = {"minReplicas": 2, "maxReplicas": 8, "podMetrics": [{"name": "queue", "average": "2"}]}
    assert server({"serving": {"autoscaling": scaling}})["autoscaling"] == scaling


def rights(roles):
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_admission_policies_hold_the_configured_account_images_and_namespaces(chart):
    values = {
        "serviceAccount": {"name": "voices"},
        "images": {"trainer": {"digest": f"sha256:{'a' * 64}"}},
        "admission": {"images": ["mirror/voice-trainer:1"], "alsoTrusted": {"groups": ["system:masters"]}},
        "watchNamespaces": ["studio"],
    }
    objects = chart.objects(values)
    policies = {
        item["metadata"]["name"].rpartition(".")[2]: json.dumps(item["spec"])
        for item in objects
        if item["kind"] == "ValidatingAdmissionPolicy" and item["metadata"]["name"].startswith("voice-system.")
    }
    bindings = {item["spec"]["policyName"]: item["spec"] for item in objects if item["kind"].endswith("PolicyBinding")}
    assert policies.keys() >= {"account", "pods", "records"}
    policies = {name: policies[name] for name in ("account", "pods", "records")}
    assert all("system:serviceaccount:voice-system:voices" in policy for policy in policies.values())
    assert f"voice-trainer@sha256:{'a' * 64}" in policies["pods"]
    assert "mirror/voice-trainer:1" in policies["pods"]
    assert "system:masters" in policies["records"]
    assert all(spec["validationActions"] == ["Deny"] for spec in bindings.values())
    (chosen,) = bindings["voice-system.voice-operator.records"]["matchResources"]["namespaceSelector"][
        "matchExpressions"
    ]
    assert chosen["values"] == ["studio", "voice-system"]
    without = chart.objects({"admission": {"enabled": False}})
    assert not [item for item in without if "Admission" in item["kind"]]


@pytest.mark.parametrize("namespaces", [[], ["studio"]])
def test_the_operator_may_do_its_work_and_nothing_more(chart, namespaces):
    objects = chart.objects({"watchNamespaces": namespaces, "rbac": {"aggregate": False}})
    granted = rights(item for item in objects if item["kind"] in ("ClusterRole", "Role"))
    assert {verb for _, resource, verb in granted if resource == "secrets"} == {"create", "patch", "get"}
    reads = [
        (item["metadata"].get("namespace"), rule["resourceNames"])
        for item in objects
        if item["kind"] in {"ClusterRole", "Role"}
        for rule in item["rules"]
        if "secrets" in rule["resources"] and "get" in rule["verbs"]
    ]
    remembered = [f"voice-operator-revocations-{number}" for number in range(SHARDS)]
    own = [("voice-system", ["voice-operator-signing-key"]), ("voice-system", remembered)]
    assert reads == own, "it reads its own Secrets and no other one"
    assert not any("*" in right for right in granted)
    assert {verb for _, resource, verb in granted if resource == "pods"} == {"list", "watch", "patch"}
    assert {verb for _, resource, verb in granted if resource.endswith("/status")} == {"patch"}
    assert not [resource for _, resource, _ in granted if resource.endswith("/finalizers")]
    assert {verb for _, resource, verb in granted if resource == "leases"} == {"list", "create", "get", "update"}
    assert ("batch", "jobs", "create") in granted
    assert ("voice.sovits.dev", "voicemodels/status", "patch") in granted
    assert {verb for _, resource, verb in granted if resource == "events"} == {"get", "list", "create", "patch"}
    assert ("voice.sovits.dev", "voicemodels", "delete") not in granted
    assert ("apiextensions.k8s.io", "customresourcedefinitions", "patch") not in granted


def test_with_watched_namespaces_there_are_roles_there_and_no_right_in_the_cluster(chart):
    objects = chart.objects({"watchNamespaces": ["studio"], "rbac": {"aggregate": False}})
    assert not [item for item in objects if item["kind"].startswith("ClusterRole")]
    for kind in ("Role", "RoleBinding"):
        found = [item["metadata"] for item in objects if item["kind"] == kind]
        own = ("-lease", "-own")
        places = {(about["namespace"], about["name"]) for about in found if not about["name"].endswith(own)}
        assert places == {("studio", "voice-operator"), ("voice-system", "voice-operator")}
    binding = next(
        item for item in objects if item["kind"] == "RoleBinding" and item["metadata"]["namespace"] == "studio"
    )
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "voice-operator", "namespace": "voice-system"}]


def test_a_second_release_would_take_the_same_names_in_a_watched_namespace(chart):
    """So that Helm refuses it: two operators would work on the same voices."""
    releases = [chart.objects({"watchNamespaces": ["studio"], "fullnameOverride": name}) for name in ("one", "two")]
    claims = [
        {(item["kind"], item["metadata"]["name"]) for item in objects if item["metadata"].get("namespace") == "studio"}
        for objects in releases
    ]
    taken = {("Role", "voice-operator"), ("RoleBinding", "voice-operator")}
    assert claims[0] & claims[1] == taken


def test_people_get_voices_with_the_built_in_roles(chart):
    viewer = chart.one("ClusterRole", name="voice-system:voice-operator:viewer")
    editor = chart.one("ClusterRole", name="voice-system:voice-operator:editor")
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    assert {label for label in viewer["metadata"]["labels"] if label.startswith(aggregated)} == {
        aggregated + "view",
        aggregated + "edit",
        aggregated + "admin",
    }
    assert {verb for _, _, verb in rights([viewer])} == {"get", "list", "watch"}
    assert aggregated + "view" not in editor["metadata"]["labels"]
    assert not {resource for _, resource, _ in rights([editor])} & {"voicerevisions", "voicemodels/status"}


def test_reviewers_exporters_and_consent_officers_are_named_and_no_part_of_the_built_in_roles(chart):
    for role, allowed in (
        ("reviewer", {("voicerevisions", "patch"), ("voicerevisions", "approve")}),
        ("exporter", {("voicerevisions", "patch"), ("voicerevisions", "export")}),
        ("consent-officer", {("voicemodels", "patch")}),
    ):
        found = chart.one("ClusterRole", name=f"voice-system:voice-operator:{role}")
        assert not [label for label in found["metadata"]["labels"] if "aggregate-to-" in label]
        granted = {(resource, verb) for _, resource, verb in rights([found])}
        assert {one for one in granted if one[1] not in {"get", "list", "watch"}} == allowed


def test_policies_for_people_bind_the_namespaces_of_the_installation(chart):
    kind = "ValidatingAdmissionPolicyBinding"
    for policy in ("review", "voices"):
        name = f"voice-system.voice-operator.{policy}"
        assert "matchResources" not in chart.one(kind, name=name)["spec"]
        bound = chart.one(kind, {"watchNamespaces": ["studio"]}, name=name)["spec"]["matchResources"]
        (selected,) = bound["namespaceSelector"]["matchExpressions"]
        assert selected["values"] == ["studio", "voice-system"]


def test_policies_let_through_the_port_of_the_store(chart):
    def ports(endpoint, name):
        policy = chart.one(
            "NetworkPolicy",
            {"storage": KEYS | {"endpoint": endpoint}, "networkPolicy": {"storage": {"ports": [7070]}}},
            name=name,
        )
        return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}

    for name in ("voice-operator", "voice-operator-inference", "voice-operator-stages"):
        assert 443 not in ports("http://s3.storage.svc:9000", "voice-operator-inference")
        assert {53, 9000, 7070} <= ports("http://s3.storage.svc:9000", name)
        assert {53, 80, 7070} <= ports("http://s3.example.com", name)
        assert {53, 443, 7070} <= ports("", name)


POLICIES = ["voice-operator", "voice-operator-inference", "voice-operator-stages"]
METADATA = {"169.254.169.254/32", "169.254.170.2/32", "fd00:ec2::254/128"}


def egress(chart, name, values):
    return chart.one("NetworkPolicy", values, name=name)["spec"]["egress"]


def opened(rules):
    """The blocks of addresses that rules name; any address is none of them."""
    blocks = [peer["ipBlock"]["cidr"] for rule in rules for peer in rule.get("to", ()) if "ipBlock" in peer]
    return {block for block in blocks if not block.endswith("/0")}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_let_through_proxies(chart, name):
    proxied = egress(chart, name, {"proxy": {"https": "http://proxy:3128", "http": "http://proxy"}})
    assert {3128, 80} <= {port["port"] for rule in proxied for port in rule["ports"]}


@pytest.mark.parametrize("name", POLICIES)
def test_metadata_services_are_closed_unless_the_values_open_them(chart, name):
    agent = {"169.254.170.23/32", "fd00:ec2::23/128"}
    plain_http = {"storage": KEYS | {"endpoint": "http://s3.example.com"}}
    for values in ({}, plain_http):
        store = [rule for rule in egress(chart, name, values) if {"namespaceSelector": {}} in rule.get("to", ())]
        excepted = {
            block for rule in store for peer in rule["to"] for block in peer.get("ipBlock", {}).get("except", ())
        }
        assert len(store) == 1
        assert excepted == METADATA | agent
    assert opened(egress(chart, name, plain_http)) == set(), "with keys nobody asks for some"
    assert opened(egress(chart, name, {})) == agent
    closed = {"networkPolicy": {"storage": {"podIdentity": False}}}
    assert opened(egress(chart, name, closed)) == set()
    node = {"networkPolicy": {"storage": {"instanceRole": True}}}
    assert opened(egress(chart, name, node)) == agent | {"169.254.169.254/32", "fd00:ec2::254/128"}


def test_stage_and_inference_pods_have_a_policy_wherever_values_name_a_namespace(chart):
    values = {"storage": KEYS | {"secretNamespaces": ["studio"]}, "watchNamespaces": ["studio", "audiobooks"]}
    found = [item for item in chart.objects(values) if item["kind"] == "NetworkPolicy"]
    places = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found}
    everywhere = {(where, name) for where in ("voice-system", "studio", "audiobooks") for name in POLICIES[1:]}
    assert places == everywhere | {("voice-system", "voice-operator")}
    for item in found:
        if item["metadata"]["name"] == "voice-operator-stages":
            assert item["spec"]["podSelector"] == {
                "matchExpressions": [{"key": "voice.sovits.dev/stage", "operator": "Exists"}]
            }
            assert item["spec"]["policyTypes"] == ["Ingress", "Egress"]
            assert "ingress" not in item["spec"], "nobody speaks to a stage"
            assert {port["port"] for rule in item["spec"]["egress"] for port in rule["ports"]} == {53, 443}


def test_more_egress_of_stage_pods(chart):
    rule = {"ports": [{"port": 5000}]}
    assert rule in egress(chart, "voice-operator-stages", {"networkPolicy": {"stages": {"extraEgress": [rule]}}})


def test_pods_that_copy_to_the_hub_reach_it_and_nobody_else_does(chart):
    values = {"storage": KEYS | {"endpoint": "http://s3.storage.svc:9000"}, "hub": {"tokenSecret": "hub"}}
    policy = chart.one("NetworkPolicy", values, name="voice-operator-copies")["spec"]
    assert policy["podSelector"] == {"matchExpressions": [{"key": labels.COPY, "operator": "Exists"}]}
    assert "ingress" not in policy
    (hub,) = [rule for rule in policy["egress"] if {"protocol": "TCP", "port": 443} in rule["ports"]]
    excepted = {block for peer in hub["to"] for block in peer.get("ipBlock", {}).get("except", ())}
    assert excepted >= METADATA
    for name in POLICIES[1:]:
        assert 443 not in {port["port"] for rule in egress(chart, name, values) for port in rule["ports"]}

    peers = {"ports": [8443], "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    own = values | {"hub": {"tokenSecret": "hub", "endpoint": "http://hub.corp:3000"}, "networkPolicy": {"hub": peers}}
    assert {
        "ports": [{"protocol": "TCP", "port": 3000}, {"protocol": "TCP", "port": 8443}],
        "to": peers["to"],
    } in egress(chart, "voice-operator-copies", own)
    without = chart.objects({"storage": KEYS})
    assert "voice-operator-copies" not in {item["metadata"]["name"] for item in without}


ALERTS = {
    "targets": [
        {"name": "team", "kind": "slack", "urlSecret": {"name": "alerting", "key": "slack"}},
        {
            "name": "audit",
            "kind": "webhook",
            "url": "http://sink.audit.svc:8080/x",
            "hmacSecret": {"name": "keys", "key": "hmac"},
        },
        {"name": "plain", "kind": "webhook", "url": "http://plain/y"},
    ]
}


def test_secrets_of_alerts_are_files_of_the_operator_alone_and_one_that_is_missing_does_not_stop_it(chart):
    objects = chart.objects({"alerts": ALERTS, "storage": KEYS})
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    (volume,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "alerts"]
    found = [
        (one["secret"]["name"], one["secret"]["items"], one["secret"]["optional"])
        for one in volume["projected"]["sources"]
    ]
    assert found == [
        ("alerting", [{"key": "slack", "path": "team/url"}], True),
        ("keys", [{"key": "hmac", "path": "audit/hmac"}], True),
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["alerts"] == {"name": "alerts", "mountPath": "/etc/voice-operator-alerts", "readOnly": True}
    rules = [rule for item in objects if item["kind"] in {"Role", "ClusterRole"} for rule in item["rules"]]
    read = [
        rule
        for rule in rules
        if "secrets" in rule["resources"] and not {"get", "list", "watch"}.isdisjoint(rule["verbs"])
    ]
    names = {name for rule in read for name in rule.get("resourceNames", ["*"])}
    assert names.isdisjoint({"*", "alerting", "keys"}), "nobody reads them by the API"


def test_without_secrets_of_alerts_nothing_is_mounted(chart):
    for alerts in ({}, {"targets": [ALERTS["targets"][2]]}):
        volumes = chart.one("Deployment", {"alerts": alerts})["spec"]["template"]["spec"]["volumes"]
        assert "alerts" not in [volume["name"] for volume in volumes]


def test_the_operator_reaches_the_targets_of_alerts_and_inference_pods_do_not(chart):
    def rules(alerts, name="voice-operator"):
        peers = {"alerts": {"ports": [9999], "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}}
        policy = chart.one("NetworkPolicy", {"alerts": alerts, "storage": KEYS, "networkPolicy": peers}, name=name)
        return [rule for rule in policy["spec"]["egress"] if {"protocol": "TCP", "port": 9999} in rule["ports"]]

    (rule,) = rules(ALERTS)
    assert {port["port"] for port in rule["ports"]} == {9999, 443, 8080, 80}
    assert rule["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert rules({}) == rules(ALERTS, "voice-operator-inference") == []


def test_the_operator_still_reaches_servers_when_only_a_gateway_may_ask_for_speech(chart):
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    policy = chart.one(
        "NetworkPolicy", {"networkPolicy": {"inference": {"from": [gateway]}}}, name="voice-operator-inference"
    )
    (rule,) = policy["spec"]["ingress"]
    operator = chart.one("Deployment")["spec"]["selector"]
    system = {"matchLabels": {"kubernetes.io/metadata.name": "voice-system"}}
    assert rule["from"] == [{"namespaceSelector": system, "podSelector": operator}, gateway]


def test_crds_are_kept_unless_told_otherwise(chart):
    def annotations(values):
        crds = [item for item in chart.objects(values) if item["kind"] == "CustomResourceDefinition"]
        assert len(crds) == 3
        return [item["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for item in crds]

    assert annotations({}) == ["keep"] * 3
    assert annotations({"crds": {"keep": False}}) == [None] * 3
    assert not [
        item for item in chart.objects({"crds": {"enabled": False}}) if item["kind"] == "CustomResourceDefinition"
    ]


def test_nothing_needs_a_kind_that_the_chart_itself_brings_and_nothing_is_a_hook(chart):
    """So `helm template | kubectl apply`, Argo CD and Flux install it in one pass."""
    for values in VALUE_SETS.values():
        for item in chart.objects(values):
            assert not item["apiVersion"].startswith("voice.sovits.dev/"), item["metadata"]["name"]
            assert "helm.sh/hook" not in item["metadata"].get("annotations", {})


def test_each_right_of_the_operator_says_why(chart):
    text = (chart.folder / "templates" / "rbac.yaml").read_text()
    rules = text.split('{{- define "voice-operator.rules" -}}')[1].split("{{- end -}}")[0].splitlines()
    starts = [number for number, line in enumerate(rules) if line.startswith("- apiGroups")]
    assert len(starts) > 10
    assert [rules[number] for number in starts if not rules[number - 1].startswith("#")] == []


def test_the_operator_may_write_its_default_server_and_no_other_one(chart):
    def servers(values):
        roles = [item for item in chart.objects(values) if item["kind"] in ("Role", "ClusterRole")]
        return [
            (rule.get("resourceNames"), rule["verbs"])
            for role in roles
            if "aggregate" not in str(role["metadata"]["labels"])
            for rule in role["rules"]
            if "voiceservers" in rule["resources"] and rule["verbs"] != ["get", "list", "watch"]
        ]

    assert servers({"serving": {"name": "speech"}, "rbac": {"aggregate": False}}) == [
        (None, ["create"]),
        (["speech"], ["patch"]),
    ]
    assert servers({"serving": {"create": False}, "rbac": {"aggregate": False}}) == []


@pytest.mark.parametrize(
    ("namespaces", "kind", "count"),
    [
        pytest.param([], "ClusterRole", 1, id="in the whole cluster"),
        pytest.param(["studio"], "Role", 2, id="in named namespaces and the release's own"),
    ],
)
def test_rights_on_workloads_come_with_kueue_alone(chart, namespaces, kind, count):
    values = {"watchNamespaces": namespaces}

    def found(values):
        roles = [one for one in chart.objects(values) if one["kind"] in {"Role", "ClusterRole"}]
        rules = [(role["kind"], rule) for role in roles for rule in role["rules"]]
        return [(kind, *rule["resources"], *rule["verbs"]) for kind, rule in rules if "kueue" in rule["apiGroups"][0]]

    assert found(values) == []
    assert found(values | {"kueue": {"enabled": True}}) == [(kind, "workloads", "list", "watch", "patch")] * count
    policies = [one for one in chart.objects(values) if one["kind"] == "ValidatingAdmissionPolicy"]
    assert policies
    assert "kueue" not in str(policies), "nor in a policy"
