"""What installation and namespace forbid, as sentences; the chart's admission policy says the same ones in CEL."""

import re
from collections.abc import Iterator

from voice_operator.api.evaluation import NEED_RECOGNISER, RECOGNISED
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.reconcile.observed import Problem
from voice_operator.reconcile.prefixes import is_below_any
from voice_operator.rules import Policy, Tenant
from voice_operator.units import seconds

VIOLATED = "PolicyViolated"


def voice_problem(
    namespace: str,
    spec: VoiceModelSpec,
    base: str,
    *,
    tenant: Tenant,
    policy: Policy,
    has_recogniser: bool = False,
    size: int = 0,
    place: int = 0,
) -> Problem | None:
    """Return why nothing may be trained for a voice, every violation named; the first one gives the reason.

    ``base`` is what the voice is made from, ``has_recogniser`` whether the installation has one of its language,
    ``size`` the object's bytes, ``place`` its number among the namespace's voices, the oldest first.
    """
    return _joined(
        [
            *_addresses(namespace, spec, tenant),
            *_bases(namespace, base, tenant),
            *_priority(namespace, spec.compute.priority_class, tenant),
            *_required(spec, policy),
            *_recognised(spec, has_recogniser=has_recogniser),
            *_maxima(spec, policy, size=size, place=place),
        ]
    )


def server_problem(
    namespace: str, name: str, spec: VoiceServerSpec, *, tenant: Tenant, policy: Policy
) -> Problem | None:
    """Return why nothing may be made for a server."""
    return _joined([*_bases(namespace, spec.base, tenant), *_server(name, spec, policy)])


def _joined(problems: list[Problem]) -> Problem | None:
    return Problem(problems[0].reason, "; ".join(problem.message for problem in problems)) if problems else None


def _addresses(namespace: str, spec: VoiceModelSpec, tenant: Tenant) -> Iterator[Problem]:
    datasets, evidence = tenant.datasets or (), tenant.evidence or ()
    if not is_below_any(spec.dataset.uri, datasets):
        yield Problem("DatasetNotAllowed", _outside("dataset.uri", spec.dataset.uri, namespace, datasets, "datasets"))
    if spec.consent.evidence and not is_below_any(spec.consent.evidence, evidence):
        message = _outside("consent.evidence", spec.consent.evidence, namespace, evidence, "evidence")
        yield Problem("EvidenceNotAllowed", message)


def _outside(field: str, address: str, namespace: str, prefixes: tuple[str, ...], value: str) -> str:
    allowed = " or ".join(prefixes) or "no address"
    return (
        f"spec.{field} is {address}, but the namespace {namespace} may use {allowed}; "
        f"put it there, or ask for another prefix (chart value tenancy.{value})"
    )


def _bases(namespace: str, base: str, tenant: Tenant) -> Iterator[Problem]:
    if tenant.bases is not None and base not in tenant.bases:
        allowed = " or ".join(tenant.bases) or "none"
        yield Problem(
            VIOLATED, f"the base is {base}, but the namespace {namespace} may use {allowed} (chart value tenancy.bases)"
        )


def _priority(namespace: str, name: str, tenant: Tenant) -> Iterator[Problem]:
    if name and tenant.priority_classes is not None and name not in tenant.priority_classes:
        allowed = " or ".join(tenant.priority_classes) or "none"
        message = f"spec.compute.priorityClass is {name}, but the namespace {namespace} may use {allowed}"
        yield Problem(VIOLATED, f"{message} (chart value tenancy.priorityClasses)")


def _required(spec: VoiceModelSpec, policy: Policy) -> Iterator[Problem]:
    if policy.evidence.required and not spec.consent.evidence:
        yield Problem(
            VIOLATED,
            "spec.consent.evidence is empty; name where the signed permission lies "
            "(chart value policy.evidence.required)",
        )


def _recognised(spec: VoiceModelSpec, *, has_recogniser: bool) -> Iterator[Problem]:
    named = [gate.metric for gate in spec.evaluation.gates or () if gate.metric in NEED_RECOGNISER]
    if named and not has_recogniser and spec.language not in RECOGNISED:
        yield Problem(
            "NoRecogniser",
            f"spec.evaluation.gates names {' and '.join(named)}, and there is no recogniser of {spec.language}; remove "
            "that gate, or give the installation a recogniser (chart value recogniser)",
        )


def _maxima(spec: VoiceModelSpec, policy: Policy, *, size: int, place: int) -> Iterator[Problem]:
    most = policy.max
    yield from _bound("spec.compute.gpus", spec.compute.gpus, most.gpus, "gpus")
    yield from _bound("spec.training.epochs", spec.training.epochs, most.epochs, "epochs")
    if most.timeout is not None and seconds(spec.compute.timeout) > seconds(most.timeout):
        yield _too_much("spec.compute.timeout", spec.compute.timeout, most.timeout, "timeout")
    yield from _bound("the object's size in bytes", size, most.object_bytes, "objectBytes")
    yield from _bound(
        "the voice's number in its namespace, the oldest first,",
        place,
        most.voices_per_namespace,
        "voicesPerNamespace",
    )


def _server(name: str, spec: VoiceServerSpec, policy: Policy) -> Iterator[Problem]:
    yield from _bound("spec.replicas", spec.replicas, policy.max.replicas, "replicas")
    if spec.autoscaling is not None:
        most = spec.autoscaling.max_replicas
        yield from _bound("spec.autoscaling.maxReplicas", most, policy.max.replicas, "replicas")
    pattern = policy.server_name_pattern
    if pattern and not re.fullmatch(pattern, name):
        yield Problem(
            VIOLATED,
            f"metadata.name is {name}, but names of VoiceServers must match {pattern} "
            "(chart value policy.serverNamePattern)",
        )


def _bound(field: str, value: int, most: int | None, name: str) -> Iterator[Problem]:
    if most is not None and value > most:
        yield _too_much(field, value, most, name)


def _too_much(field: str, value: object, most: object, name: str) -> Problem:
    return Problem(VIOLATED, f"{field} is {value}, but at most {most} is allowed (chart value policy.max.{name})")
