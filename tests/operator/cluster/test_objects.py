"""What is read of objects in the cluster: records for the lists never fail, and everything else says what is wrong."""

import json
from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.objects import (
    pack,
    revision_from,
    server_from,
    trimmed,
    unmanaged,
    unpack,
    voice_from,
    voice_record,
)
from voice_operator.errors import InvalidObject
from voice_operator.manifests.labels import QUEUE_NAME, RETRY, SEAL, VOICE_MODEL, owner
from voice_operator.reconcile.observed import Voice

CONSENT = {"holder": "Alice A.", "statement": "I agree."}
DIGEST = "sha256:" + "a" * 64
ARTIFACTS = {"revision": "alice-1", "uri": "s3://voices/alice-1", "digest": DIGEST}
STATUS = {"server": "studio/default", "artifacts": ARTIFACTS, "phase": "Ready"}
SPEC = {"language": "en", "dataset": {"uri": "s3://data/alice"}, "consent": CONSENT, "serving": {"server": "default"}}


def an_object(name: str = "alice", **about: Any) -> dict[str, Any]:
    metadata = {"namespace": "studio", "name": name, "uid": "uid", "generation": 3, "resourceVersion": "7"}
    return {"metadata": metadata | about.pop("metadata", {})} | about


def test_a_record_has_what_the_lists_need() -> None:
    record = voice_record(an_object(spec=SPEC, status=STATUS), None)
    assert (record.id, record.uid, record.generation, record.deleting) == ("studio/alice", "uid", 3, False)
    assert (record.server, record.requested_server) == ("studio/default", "default")
    assert record.artifacts is not None
    assert record.artifacts.digest == DIGEST
    assert unpack(record.packed)["spec"] == SPEC


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="no spec"),
        pytest.param({"consent": {"holder": "Alice A."}}, id="half a consent"),
        pytest.param({"consent": {"holder": 7, "statement": []}}, id="a consent of other types"),
        pytest.param({"consent": CONSENT | {"revoked": "perhaps"}}, id="a revocation that is neither true nor false"),
    ],
)
def test_a_consent_that_nobody_can_read_permits_nothing(spec: dict[str, Any]) -> None:
    record = voice_record(an_object(spec=spec, status=STATUS), None)
    assert record.consent is None
    assert record.server == "studio/default", "and its server is known, to take the voice off the list"


def test_a_consent_is_read_whatever_else_the_spec_has() -> None:
    record = voice_record(an_object(spec={"consent": CONSENT, "language": "tlh"}, status=STATUS), None)
    assert record.consent is not None
    with pytest.raises(InvalidObject, match=r"VoiceModel studio/alice: spec\.language"):
        voice_from(an_object(spec=SPEC | {"language": "tlh"}))


def test_what_is_served_is_read_whatever_else_a_newer_operator_wrote() -> None:
    newer = STATUS | {"phase": "Polishing", "conditions": [{"severity": "mild"}]}
    record = voice_record(an_object(spec=SPEC, status=newer), None)
    assert record.artifacts is not None, "a restarted older operator must not unload every voice"
    with pytest.raises(InvalidObject, match=r"status\.phase"):
        voice_from(an_object(spec=SPEC, status=newer))


def test_what_cannot_be_read_of_the_status_stays_as_it_was() -> None:
    before = voice_record(an_object(spec=SPEC, status=STATUS), None)
    after = voice_record(an_object(spec=SPEC, status={"server": 7}), before)
    assert (after.server, after.artifacts) == (before.server, before.artifacts)
    assert voice_record(an_object(spec=SPEC, status={"server": 7}), None).server is None


def test_a_status_that_was_emptied_serves_nothing() -> None:
    before = voice_record(an_object(spec=SPEC, status=STATUS), None)
    after = voice_record(an_object(spec=SPEC), before)
    assert (after.server, after.artifacts) == (None, None)


def test_an_object_is_packed_without_what_the_api_server_keeps_about_it() -> None:
    managed = {"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]}
    item = an_object(metadata=managed, spec=SPEC)
    assert unpack(pack(item)) == an_object(spec=SPEC)
    assert unmanaged(item) == an_object(spec=SPEC)
    assert "managedFields" in item["metadata"], "the object itself is left as it is"


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_an_object_is_kept_without_labels_and_annotations_that_nothing_reads(kind: str) -> None:
    noise = {f"example.org/{number}": "".join(map(str, range(200))) for number in range(500)}
    noise |= {f"voice.sovits.dev/noise-{number}": "x" * 10_000 for number in range(500)}
    item = an_object(spec=SPEC)
    item["metadata"][kind] = noise | {RETRY: "x" * 2000}
    record = voice_record(item, None)
    assert record.size > 5_000_000, "it counts as it was written"
    assert len(json.dumps(unpack(record.packed))) < 50_000
    assert item["metadata"][kind][RETRY] == "x" * 2000, "what was read is not changed"


def test_an_object_keeps_the_labels_and_annotations_that_decisions_read() -> None:
    metadata = {"labels": {VOICE_MODEL: "alice", QUEUE_NAME: "queue"}, "annotations": {RETRY: "again", SEAL: "seal"}}
    item = an_object(spec=SPEC)
    item["metadata"] |= metadata
    kept = unpack(pack(item))["metadata"]
    assert {kind: kept[kind] for kind in metadata} == metadata


def test_of_a_pod_only_what_decisions_read_is_kept() -> None:
    container = {"name": "inference", "ports": [{"containerPort": 8080}], "env": [{"name": "TOKEN", "value": "x"}]}
    pod = an_object(spec={"containers": [container], "volumes": [{}], "nodeName": "n"}, status={"podIP": "10.0.0.1"})
    kept = trimmed(pod)
    assert kept["spec"] == {"containers": [{"name": "inference", "ports": [{"containerPort": 8080}]}], "nodeName": "n"}
    assert kept["status"] == {"podIP": "10.0.0.1"}
    stage = {"name": "stage", "resources": {"limits": {"memory": "1Gi"}}}
    template = {"spec": {"containers": [stage | {"env": []}], "volumes": []}}
    job = an_object(spec={"template": template, "suspend": True})
    kept = {"containers": [], "template": {"spec": {"containers": [stage]}}}
    assert trimmed(job)["spec"] == kept | {"suspend": True}


EARLIER = owner("VoiceModel", "alice", "earlier")


def a_revision(owner: str = "uid", *, holder: str = "Alice A.", **metadata: Any) -> dict[str, Any]:
    spec = {
        "voiceModel": "alice",
        "inputHash": "0" * 64,
        "workspace": "s3://voices/x",
        "language": "en",
        "dataset": {"uri": "s3://data/alice", "fingerprint": DIGEST},
        "base": {"name": "tiny", "uri": "embedded:tiny"},
        "training": {},
        "consent": CONSENT | {"holder": holder},
        "artifacts": {"uri": "s3://voices/y", "digest": DIGEST},
        "evaluation": {"scores": {}},
    }
    labels = {"voice.sovits.dev/voice-model": "alice"}
    return an_object("alice-1", metadata={"labels": labels, "ownerReferences": [{"uid": owner}]} | metadata, spec=spec)


@pytest.mark.parametrize(
    ("item", "deleting", "labelled", "adoptable"),
    [
        pytest.param(a_revision(), False, True, False, id="the voice's own"),
        pytest.param(a_revision(labels={}), False, False, False, id="one without the label"),
        pytest.param(a_revision(labels=None), False, False, False, id="one without any label"),
        pytest.param(a_revision("another"), False, True, True, id="one that somebody gave another owner"),
        pytest.param(a_revision(ownerReferences=EARLIER), True, True, False, id="one of an earlier voice of this name"),
        pytest.param(a_revision(ownerReferences=[*EARLIER, {"uid": "uid"}]), False, True, False, id="one of both"),
        pytest.param(a_revision(ownerReferences=None), False, True, True, id="one of nobody"),
        pytest.param(a_revision("another", holder="Bob B."), True, True, False, id="one of another speaker"),
        pytest.param(a_revision(deletionTimestamp="2026-11-23T06:07:00Z"), True, True, False, id="one that goes"),
        pytest.param(
            a_revision("another", deletionTimestamp="2026-11-23T06:07:00Z"),
            True,
            True,
            False,
            id="both",
        ),
    ],
)
def test_a_revision(item: dict[str, Any], deleting: bool, labelled: bool, adoptable: bool) -> None:
    voice = Voice("studio", "alice", "uid", 3, VoiceModelSpec.model_validate(SPEC), VoiceModelStatus())
    found = revision_from(item, voice)
    assert (found.deleting, found.labelled, found.adoptable) == (deleting, labelled, adoptable)


def test_a_quantity_is_a_number_or_a_text() -> None:
    limits = {"cpu": 4, "memory": "8Gi", "example.com/fpga": 0.5}
    server = server_from(an_object("default", spec={"base": "tiny", "resources": {"limits": limits}}))
    assert server.spec.resources is not None
    assert server.spec.resources.limits == {"cpu": "4", "memory": "8Gi", "example.com/fpga": "0.5"}


def test_an_unreadable_server_says_which_field_is_wrong() -> None:
    with pytest.raises(InvalidObject, match=r"VoiceServer studio/default: spec\.resources\.limits\.cpu"):
        server_from(an_object("default", spec={"base": "tiny", "resources": {"limits": {"cpu": True}}}))
