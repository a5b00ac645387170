"""What installation and namespace forbid: each violation is a sentence with the bound and where it comes from."""

from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.reconcile.observed import Problem
from voice_operator.reconcile.policy import server_problem, voice_problem
from voice_operator.rules import Policy, Tenancy

STORAGE = "s3://voices"
OWN = "s3://voices/datasets/team-a/alice"


def problem_of(
    spec: dict[str, Any] | None = None,
    *,
    tenancy: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    namespace: str = "team-a",
    base: str = "tiny",
    has_recogniser: bool = False,
    size: int = 0,
    place: int = 1,
) -> Problem | None:
    wanted = {
        "language": "en",
        "dataset": {"uri": OWN},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    return voice_problem(
        namespace,
        VoiceModelSpec.model_validate(wanted | (spec or {})),
        base,
        tenant=Tenancy.model_validate(tenancy or {}).of(namespace, STORAGE),
        policy=Policy.model_validate(policy or {}),
        has_recogniser=has_recogniser,
        size=size,
        place=place,
    )


def consent(evidence: str) -> dict[str, Any]:
    return {"consent": {"holder": "Alice A.", "statement": "I agree.", "evidence": evidence}}


def words(language: str, metric: str = "cer") -> dict[str, Any]:
    bound = {"max": "0.1"} if metric == "cer" else {"min": "0.1"}
    return {"language": language, "evaluation": {"gates": [{"metric": metric, **bound}]}}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="recordings of its own namespace"),
        pytest.param({"spec": consent("s3://voices/evidence/team-a/alice.pdf")}, id="evidence of its own namespace"),
        pytest.param({"spec": consent("https://forms.example.org/1")}, id="evidence in a system of documents"),
        pytest.param(
            {
                "tenancy": {"namespaces": {"team-a": {"datasets": ["s3://shared/"]}}},
                "spec": {"dataset": {"uri": "s3://shared/alice"}},
            },
            id="an exception for the namespace",
        ),
        pytest.param(
            {"tenancy": {"datasets": ["s3://"]}, "spec": {"dataset": {"uri": "s3://x-y-z/alice"}}}, id="anywhere"
        ),
        pytest.param({"policy": {"max": {"gpus": 1, "epochs": 10, "timeout": "12h"}}}, id="at most what it asks for"),
        pytest.param({"size": 8192, "policy": {"max": {"objectBytes": 8192}}}, id="as large as it may be"),
        pytest.param({"policy": {"max": {"voicesPerNamespace": 3}}, "place": 3}, id="the last that has room"),
        pytest.param({"policy": {"gates": [{"metric": "pesq", "min": "3.0"}]}}, id="minimum gates raise, not refuse"),
        pytest.param({"tenancy": {"bases": ["tiny"]}}, id="a base that it may use"),
        pytest.param({"tenancy": {"priorityClasses": []}}, id="no priority class where it may use none"),
        pytest.param(
            {
                "tenancy": {"priorityClasses": [], "namespaces": {"team-a": {"priorityClasses": ["urgent"]}}},
                "spec": {"compute": {"priorityClass": "urgent"}},
            },
            id="the priority class of its exception",
        ),
        pytest.param({"spec": words("en")}, id="words of English"),
        pytest.param({"spec": words("ja"), "has_recogniser": True}, id="words of a language with a recogniser"),
        pytest.param({"spec": words("ja", "stoi")}, id="no words of a language without one"),
    ],
)
def test_allowed(given: dict[str, Any]) -> None:
    assert problem_of(**given) is None


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        pytest.param(
            {"spec": words("ja")},
            "NoRecogniser",
            "spec.evaluation.gates names cer, and there is no recogniser of ja; remove that gate, or give the "
            "installation a recogniser (chart value recogniser)",
            id="words of a language that nothing recognises",
        ),
        pytest.param(
            {"spec": {"dataset": {"uri": "s3://voices/datasets/team-b/bob"}}},
            "DatasetNotAllowed",
            "spec.dataset.uri is s3://voices/datasets/team-b/bob, but the namespace team-a may use "
            "s3://voices/datasets/team-a/; put it there, or ask for another prefix (chart value tenancy.datasets)",
            id="another namespace's recordings",
        ),
        pytest.param(
            {"spec": {"dataset": {"uri": "s3://voices/datasets/team-ab/bob"}}},
            "DatasetNotAllowed",
            None,
            id="a namespace whose name begins likewise",
        ),
        pytest.param(
            {"tenancy": {"namespaces": {"team-a": {"datasets": []}}}},
            "DatasetNotAllowed",
            f"spec.dataset.uri is {OWN}, but the namespace team-a may use no address; put it there, or ask for another "
            "prefix (chart value tenancy.datasets)",
            id="a namespace that may train nothing",
        ),
        pytest.param(
            {"spec": consent("s3://voices/evidence/team-b/bob.pdf")},
            "EvidenceNotAllowed",
            "spec.consent.evidence is s3://voices/evidence/team-b/bob.pdf, but the namespace team-a may use "
            "s3://voices/evidence/team-a/ or https://; put it there, or ask for another prefix "
            "(chart value tenancy.evidence)",
            id="another namespace's evidence",
        ),
        pytest.param(
            {"tenancy": {"bases": ["v2Pro", "v2"]}},
            "PolicyViolated",
            "the base is tiny, but the namespace team-a may use v2Pro or v2 (chart value tenancy.bases)",
            id="a base that it may not use",
        ),
        pytest.param(
            {
                "tenancy": {
                    "priorityClasses": ["low", "normal"],
                    "namespaces": {"team-b": {"priorityClasses": ["urgent"]}},
                },
                "spec": {"compute": {"priorityClass": "urgent"}},
            },
            "PolicyViolated",
            "spec.compute.priorityClass is urgent, but the namespace team-a may use low or normal "
            "(chart value tenancy.priorityClasses)",
            id="a priority class that it may not use",
        ),
        pytest.param(
            {"policy": {"evidence": {"required": True}}},
            "PolicyViolated",
            "spec.consent.evidence is empty; name where the signed permission lies "
            "(chart value policy.evidence.required)",
            id="no evidence",
        ),
        pytest.param(
            {"policy": {"max": {"gpus": 0}}},
            "PolicyViolated",
            "spec.compute.gpus is 1, but at most 0 is allowed (chart value policy.max.gpus)",
            id="GPUs",
        ),
        pytest.param(
            {"policy": {"max": {"epochs": 9}}},
            "PolicyViolated",
            "spec.training.epochs is 10, but at most 9 is allowed (chart value policy.max.epochs)",
            id="epochs",
        ),
        pytest.param(
            {"policy": {"max": {"timeout": "90m"}}},
            "PolicyViolated",
            "spec.compute.timeout is 12h, but at most 90m is allowed (chart value policy.max.timeout)",
            id="time",
        ),
        pytest.param(
            {"size": 8193, "policy": {"max": {"objectBytes": 8192}}},
            "PolicyViolated",
            "the object's size in bytes is 8193, but at most 8192 is allowed (chart value policy.max.objectBytes)",
            id="a padded object",
        ),
        pytest.param(
            {"policy": {"max": {"voicesPerNamespace": 3}}, "place": 4},
            "PolicyViolated",
            "the voice's number in its namespace, the oldest first, is 4, but at most 3 is allowed "
            "(chart value policy.max.voicesPerNamespace)",
            id="one too many",
        ),
    ],
)
def test_refused(given: dict[str, Any], reason: str, message: str | None) -> None:
    problem = problem_of(**given)
    assert problem is not None
    assert problem.reason == reason
    assert message is None or problem.message == message


def test_every_violation_is_named_at_once() -> None:
    problem = problem_of(
        {"dataset": {"uri": "s3://elsewhere/alice"}}, policy={"max": {"gpus": 0, "epochs": 1}}, tenancy={"bases": []}
    )
    assert problem is not None
    assert problem.reason == "DatasetNotAllowed"
    for part in ("spec.dataset.uri", "the base is tiny", "spec.compute.gpus", "spec.training.epochs"):
        assert part in problem.message


@pytest.mark.parametrize(
    ("name", "spec", "policy", "message"),
    [
        ("studio", {"replicas": 3}, {"max": {"replicas": 3}, "serverNamePattern": "stu.*"}, None),
        (
            "studio",
            {"replicas": 1000},
            {"max": {"replicas": 3}},
            "spec.replicas is 1000, but at most 3 is allowed (chart value policy.max.replicas)",
        ),
        (
            "payments-api",
            {},
            {"serverNamePattern": "(default|voice-.*)"},
            (
                "metadata.name is payments-api, but names of VoiceServers must match (default|voice-.*) "
                "(chart value policy.serverNamePattern)"
            ),
        ),
        (
            "my-voice-x",
            {},
            {"serverNamePattern": "voice-.*"},
            (
                "metadata.name is my-voice-x, but names of VoiceServers must match voice-.* "
                "(chart value policy.serverNamePattern)"
            ),
        ),
    ],
)
def test_servers(name: str, spec: dict[str, Any], policy: dict[str, Any], message: str | None) -> None:
    found = server_problem(
        "team-a",
        name,
        VoiceServerSpec.model_validate({"base": "tiny"} | spec),
        tenant=Tenancy().of("team-a", STORAGE),
        policy=Policy.model_validate(policy),
    )
    assert (found and found.message) == message


@pytest.mark.parametrize(
    ("section", "given", "named"),
    [
        (Tenancy, {"datasets": ["http://x/"]}, "datasets"),
        (Tenancy, {"datasets": ["s3://voices/../x"]}, "datasets"),
        (Tenancy, {"datasets": ["s3://voices//x"]}, "datasets"),
        (Tenancy, {"datasets": ["s3://voices/%2e"]}, "datasets"),
        (Tenancy, {"datasets": ["https://forms.example.org/"]}, "datasets"),
        (Tenancy, {"servers": ["default"]}, "servers"),
        (Tenancy, {"namespaces": {"team-a": {"dataset": []}}}, "dataset"),
        (Policy, {"gates": [{"metric": "pesq"}]}, "either min or max"),
        (Policy, {"gates": [{"metric": "cer", "min": "0.1"}]}, "must have max, as less is better"),
        (Policy, {"gates": [{"metric": "dnsmos", "max": "4"}]}, "must have min, as more is better"),
        (Policy, {"max": {"timeout": "tomorrow"}}, "no duration"),
        (Policy, {"serverNamePattern": "("}, "no regular expression"),
    ],
)
def test_a_rule_that_would_mean_nothing_is_refused(section: Any, given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        section.model_validate(given)
