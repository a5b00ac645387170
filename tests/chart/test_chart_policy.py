"""Tenancy and policy of the values: what the operator reads, and what a real API server refuses, with one sentence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.support.voices import Object, make_server, make_voice
from tests.support.waiting import wait_for

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.reconcile.policy import server_problem, voice_problem
from voice_operator.settings import Settings

VALUES: dict[str, Any] = {
    "bases": {"tiny": {"uri": "embedded:tiny"}, "big": {"uri": "s3://bases/big"}},
    "tenancy": {
        "evidence": ["{storage}/evidence/{namespace}/", "https://forms.example.org/signed"],
        "namespaces": {
            "audiobooks": {
                "datasets": ["s3://archive/{namespace}", "s3://shared/"],
                "bases": ["tiny"],
                "priorityClasses": ["batch"],
            }
        },
    },
    "recogniser": {"uri": "s3://models/whisper", "digest": "sha256:" + "1" * 64, "languages": ["ja"]},
    "policy": {
        "gates": [{"metric": "pesq", "min": "3.0"}],
        "max": {"gpus": 2, "epochs": 20, "timeout": "24h", "replicas": 3, "objectBytes": 8192},
        "serverNamePattern": "voice-.*|default",
    },
}
WORDS = [{"metric": "cer", "max": "0.1"}, {"metric": "wer", "max": "0.2"}]
CONSENT = {"holder": "Alice A.", "statement": "I agree."}
BEFORE = make_voice(
    "before",
    "studio",
    dataset={"uri": "s3://elsewhere/alice"},
    consent=CONSENT | {"evidence": "s3://elsewhere/alice.pdf"},
    compute={"gpus": 8, "timeout": "48h"},
    training={"epochs": 100},
)
AUTHOR = ("--as", "author", "--as-group", "authors")


@pytest.fixture(scope="module")
def settings(chart: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(chart.one("ConfigMap", VALUES)["data"]["config.yaml"])
    return Settings.load(config, namespace="voice-system")


def test_the_operator_reads_the_values(settings: Settings) -> None:
    assert settings.tenant("studio").datasets == ("s3://voices/datasets/studio/",)
    assert settings.tenant("audiobooks").datasets == ("s3://archive/audiobooks", "s3://shared/")
    assert (settings.tenant("studio").bases, settings.tenant("audiobooks").bases) == (None, ("tiny",))
    assert settings.policy.minimum_gates[0].min == "3.0"
    assert settings.policy.max.timeout == "24h"


def test_a_fresh_installation_bounds_the_size_of_objects_alone(chart: Any, tmp_path: Any) -> None:
    (tmp_path / "config.yaml").write_text(chart.one("ConfigMap")["data"]["config.yaml"])
    policy = Settings.load(tmp_path / "config.yaml", namespace="voice-system").policy
    assert {name: most for name, most in policy.max.model_dump().items() if most is not None} == {
        "object_bytes": 131072
    }
    assert (policy.gates, policy.review.required, policy.evidence.required) == ((), False, False)


def test_the_policies_can_be_left_out_and_are_bound_to_the_watched_namespaces(chart: Any) -> None:
    names = {item["metadata"]["name"] for item in chart.objects({"admission": {"enabled": False}})}
    assert not names & {"voice-system.voice-operator.tenancy-voices", "voice-system.voice-operator.tenancy-servers"}
    policy = chart.one(
        "ValidatingAdmissionPolicy", {"watchNamespaces": ["studio"]}, name="voice-system.voice-operator.tenancy-voices"
    )
    (only,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert only == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["studio", "voice-system"]}


def test_the_switch_of_earlier_charts_is_refused_where_it_would_be_forgotten(chart: Any) -> None:
    refusal = chart.refusal({"policy": {"admission": {"enabled": False}}})
    assert "one switch for all policies now: set admission.enabled" in refusal
    for agreeing in ({"policy": {"admission": {"enabled": True}}}, {"policy": {"admission": {}}}):  # --reuse-values
        assert "voice-system.voice-operator.tenancy-voices" in {
            item["metadata"]["name"] for item in chart.objects(agreeing)
        }


def test_the_policies_conform(chart: Any, conforms: Callable[[list[Any]], list[str]]) -> None:
    assert conforms([item for item in chart.objects(VALUES) if item["kind"].startswith("Validating")]) == []


@pytest.fixture(scope="module")
def apply(cluster: Any) -> Any:
    """Return a function that applies an object as an author with the rights of `edit`, and returns the refusal."""
    cluster.clear()
    cluster.install(VALUES | {"admission": {"enabled": False}})
    roles = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "policy-authors"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "authors"}],
    }
    assert cluster.kubectl("apply", "-f", "-", stdin=json.dumps(roles)).returncode == 0

    def applied(document: Object) -> str:
        done = cluster.kubectl("apply", *AUTHOR, "-f", "-", stdin=json.dumps(document))
        return done.stderr if done.returncode else ""

    assert applied(BEFORE) == ""
    cluster.upgrade(VALUES)

    def in_force() -> bool:
        refusal = applied(make_voice("probe", "studio", dataset={"uri": "s3://elsewhere/probe"}))
        if not refusal:
            cluster.kubectl("delete", "voice", "probe", "-n", "studio")
        return "tenancy.datasets" in refusal

    wait_for("the admission policy", in_force, seconds=60)
    yield applied
    cluster.kubectl("delete", "clusterrolebinding", "policy-authors")
    cluster.clear()


VOICES: list[Any] = [
    pytest.param("studio", {}, "", id="its own recordings"),
    pytest.param("studio", {"dataset": {"uri": "s3://voices/datasets/studio/"}}, "", id="the prefix itself"),
    pytest.param(
        "studio", {"dataset": {"uri": "s3://voices/datasets/audiobooks/bob"}}, "tenancy.datasets", id="another's"
    ),
    pytest.param(
        "studio", {"dataset": {"uri": "s3://voices/datasets/studio2/bob"}}, "tenancy.datasets", id="a longer name"
    ),
    pytest.param("studio", {"dataset": {"uri": "s3://voices/datasets"}}, "tenancy.datasets", id="above"),
    pytest.param("studio", {"dataset": {"uri": "s3://voices/Datasets/studio/x"}}, "tenancy.datasets", id="upper case"),
    pytest.param("audiobooks", {"dataset": {"uri": "s3://archive/audiobooks/1"}}, "", id="an exception"),
    pytest.param("audiobooks", {"dataset": {"uri": "s3://shared/1"}}, "", id="another exception"),
    pytest.param("audiobooks", {}, "tenancy.datasets", id="an exception takes the place of the default"),
    pytest.param(
        "studio", {"consent": CONSENT | {"evidence": "s3://voices/evidence/studio/1.pdf"}}, "", id="own evidence"
    ),
    pytest.param(
        "studio",
        {"consent": CONSENT | {"evidence": "s3://voices/evidence/studio/../x/1.pdf"}},
        "tenancy.evidence",
        id="evidence by two dots",
    ),
    pytest.param(
        "studio", {"consent": CONSENT | {"evidence": "https://forms.example.org/signed/1"}}, "", id="evidence by https"
    ),
    pytest.param(
        "studio",
        {"consent": CONSENT | {"evidence": "https://forms.example.org.example/signed/1"}},
        "tenancy.evidence",
        id="evidence of another host",
    ),
    pytest.param(
        "studio",
        {"consent": CONSENT | {"evidence": "https://forms.example.org/signed/%2e%2e/1"}},
        "tenancy.evidence",
        id="evidence by percent signs",
    ),
    pytest.param("studio", {"base": "big"}, "", id="any base"),
    pytest.param(
        "audiobooks",
        {"base": "big", "dataset": {"uri": "s3://shared/1"}},
        "tenancy.bases",
        id="a base that it may not use",
    ),
    pytest.param("studio", {"compute": {"priorityClass": "urgent"}}, "", id="any priority"),
    pytest.param(
        "audiobooks",
        {"compute": {"priorityClass": "urgent"}, "dataset": {"uri": "s3://shared/1"}},
        "tenancy.priorityClasses",
        id="a priority that it may not use",
    ),
    pytest.param(
        "audiobooks",
        {"compute": {"priorityClass": "batch"}, "dataset": {"uri": "s3://shared/1"}},
        "",
        id="a priority that it may use",
    ),
    pytest.param("studio", {"compute": {"gpus": 2, "timeout": "1440m"}}, "", id="as much as is allowed"),
    pytest.param("studio", {"compute": {"gpus": 3}}, "policy.max.gpus", id="GPUs"),
    pytest.param("studio", {"training": {"epochs": 21}}, "policy.max.epochs", id="epochs"),
    pytest.param("studio", {"compute": {"timeout": "24h1s"}}, "policy.max.timeout", id="time"),
    pytest.param("studio", {"evaluation": {"gates": []}}, "", id="gates below the minimum are raised, not refused"),
    pytest.param("studio", {"evaluation": {"gates": WORDS}}, "", id="words of English"),
    pytest.param("studio", {"language": "ja", "evaluation": {"gates": WORDS}}, "", id="words with a recogniser"),
    pytest.param(
        "studio", {"language": "ko", "evaluation": {"gates": WORDS}}, "(chart value recogniser)", id="words without one"
    ),
]


@pytest.mark.parametrize(("namespace", "spec", "refused"), VOICES)
def test_the_api_server_refuses_a_voice_with_the_operators_sentence(
    apply: Callable[[Object], str], settings: Settings, namespace: str, spec: dict[str, Any], refused: str
) -> None:
    document = make_voice("alice", namespace, **spec)
    parsed = VoiceModelSpec.model_validate(document["spec"])
    problem = voice_problem(
        namespace,
        parsed,
        parsed.base or "tiny",
        tenant=settings.tenant(namespace),
        policy=settings.policy,
        has_recogniser=settings.recogniser_of(parsed.language) is not None,
    )
    answer = apply(document | {"metadata": {"generateName": "alice-", **document["metadata"]}})
    if refused:
        assert problem is not None
        assert refused in problem.message
        assert "(Forbidden)" in answer or "forbidden" in answer.lower()
        assert problem.message in answer
    else:
        assert problem is None
        assert answer == ""


def test_what_was_there_before_the_policy_can_be_edited_and_revoked(apply: Callable[[Object], str]) -> None:
    revoked = BEFORE["spec"]["consent"] | {"revoked": True}
    assert apply(BEFORE | {"spec": BEFORE["spec"] | {"consent": revoked}}) == ""
    moved = BEFORE["spec"] | {"consent": revoked, "dataset": {"uri": "s3://elsewhere/bob"}}
    assert "tenancy.datasets" in apply(BEFORE | {"spec": moved})
    assert "policy.max.gpus" in apply(BEFORE | {"spec": BEFORE["spec"] | {"consent": revoked, "compute": {"gpus": 7}}})


@pytest.mark.parametrize("part", ["annotations", "labels"])
def test_a_padded_object_is_refused(apply: Callable[[Object], str], part: str) -> None:
    document = make_voice("padded", "studio")
    padding = {f"x{number}": "x" * 60 for number in range(140)}
    document["metadata"][part] = padding
    # kubectl apply would double the annotations by its own.
    assert "policy.max.objectBytes" in apply(document)
    document["metadata"][part] = {"x": "y"}
    assert apply(document) == ""


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        (make_server("voice-studio", "studio", replicas=3), ""),
        (make_server("voice-large", "studio", replicas=1000), "policy.max.replicas"),
        (make_server("payments-api", "studio"), "policy.serverNamePattern"),
        (make_server("my-voice-x", "studio"), "policy.serverNamePattern"),
        (make_server("voice-big", "audiobooks", base="big"), "tenancy.bases"),
    ],
)
def test_the_api_server_refuses_a_server_with_the_operators_sentence(
    apply: Callable[[Object], str], settings: Settings, document: Object, refused: str
) -> None:
    name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
    problem = server_problem(
        namespace,
        name,
        VoiceServerSpec.model_validate(document["spec"]),
        tenant=settings.tenant(namespace),
        policy=settings.policy,
    )
    answer = apply(document)
    assert bool(answer) is bool(problem) is bool(refused)
    if problem is not None:
        assert refused in problem.message
        assert problem.message in answer


def test_scaling_is_no_way_around(apply: Callable[[Object], str], cluster: Any) -> None:
    assert apply(make_server("voice-scaled", "studio")) == ""
    scale = ("scale", *AUTHOR, "vserver", "voice-scaled", "-n", "studio")
    refused = cluster.kubectl(*scale, "--replicas=1000")
    assert "spec.replicas is 1000, but at most 3 is allowed (chart value policy.max.replicas)" in refused.stderr
    assert cluster.kubectl(*scale, "--replicas=0").returncode == 0
    assert cluster.kubectl(*scale, "--replicas=3").returncode == 0


def test_the_least_manifests_of_readme_and_notes_are_admitted_as_printed(
    cluster: Any, repository: Any, chart: Any
) -> None:
    """With the values of a fresh installation."""
    fences = (repository / "README.md").read_text().split("```")
    manifest = next(text.removeprefix("yaml") for text in fences if text.startswith("yaml\napiVersion"))
    tenant = Settings.model_validate(yaml.safe_load(chart.one("ConfigMap")["data"]["config.yaml"])).tenant("studio")
    for text in (manifest, (repository / "examples" / "alice.yaml").read_text()):
        document = yaml.safe_load(text)
        assert document["spec"]["dataset"]["uri"].startswith(tuple(tenant.datasets or ()))


def test_policies_have_names_of_their_own_in_any_namespace(chart: Any) -> None:
    for namespace in ("voices", "servers", "tenancy-voices", "voice-system"):
        found = chart.objects(None, "--namespace", namespace)
        names = [(item["kind"], item["metadata"]["name"]) for item in found if "Policy" in item["kind"]]
        assert len(names) == len(set(names)) > 4


def test_the_volume_of_the_recogniser_is_one_that_stages_may_mount(chart: Any) -> None:
    digest = f"sha256:{'a' * 64}"
    volume = {"persistentVolumeClaim": {"claimName": "whisper", "readOnly": True}}
    values = {"recogniser": {"uri": "file:///recogniser", "digest": digest, "volume": volume}}
    policies = [item for item in chart.objects(values) if item["kind"] == "ValidatingAdmissionPolicy"]
    assert any("whisper" in str(item["spec"]) for item in policies)
    assert not any("whisper" in str(item["spec"]) for item in chart.objects() if "Policy" in item["kind"])
