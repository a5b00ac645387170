"""What is found out about a voice: its base, and what tells its recordings from others; neither changes by itself."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.signing import seal_of, signing

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import Failures, LastFailure, ObservedDataset, StageStatus, VoiceModelStatus
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.observe import observe_voice
from voice_operator.cluster.store import open_store
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.observed import Observed, Voice
from voice_operator.reconcile.status import status_of
from voice_operator.reconcile.times import render
from voice_operator.settings import Settings

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
PINNED = "sha256:" + "d" * 64


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "datasets" / "alice"
    folder.mkdir(parents=True)
    (folder / "metadata.csv").write_text("1|Hello.\n")
    return folder


def settings(
    default_base: str = "tiny",
    bases: tuple[str, ...] = ("tiny", "large"),
    folder: str = "/x",
    tenancy: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
) -> Settings:
    return Settings.model_validate(
        {
            "images": {"trainer": "trainer:1", "inference": "inference:1"},
            "bases": {name: {"uri": f"embedded:{name}"} for name in bases},
            "defaultBase": default_base,
            "storage": {"uri": f"file://{folder}"},
            "policy": policy or {},
            "tenancy": tenancy or {"datasets": ["file:///"]},
        }
    )


def a_voice(recordings: Path, status: VoiceModelStatus | None = None, **spec: Any) -> Voice:
    wanted = {
        "language": "en",
        "dataset": {"uri": f"file://{recordings}"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    parsed = VoiceModelSpec.model_validate(wanted | spec)
    return Voice("studio", "alice", "uid", 1, parsed, status or VoiceModelStatus())


def a_revision(name: str, base: str, state: str) -> dict[str, Any]:
    spec = {
        "voiceModel": "alice",
        "inputHash": "0" * 64,
        "workspace": "s3://voices/x",
        "language": "en",
        "dataset": {"uri": "s3://data/alice", "digest": "sha256:" + "a" * 64},  # as 0.1.0 wrote it
        "base": {"name": base, "uri": f"embedded:{base}"},
        "training": {},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
        "artifacts": {"uri": "s3://voices/y", "digest": "sha256:" + "b" * 64},
        "evaluation": {"scores": {}},
    }
    metadata = {"name": name, "namespace": "studio", "ownerReferences": [{"uid": "uid"}], "resourceVersion": "1"}
    metadata |= {"annotations": seal_of("studio", name, spec)}
    return {"metadata": metadata, "spec": spec, "status": {"state": state}}


class NeverAsked:
    """A store whose recordings must not be listed; ``read`` tells that there are no manifests."""

    @property
    def listings(self) -> Any:
        pytest.fail("listed")

    async def read(self, uri: str, _: str) -> None:
        assert uri.startswith("file:///x/studio/alice/"), "only the voice's own folder"


def observe(
    voice: Voice,
    configured: Settings,
    *revisions: dict[str, Any],
    now: datetime = NOW,
    store: Any = None,
    caches: Caches | None = None,
) -> Observed:
    caches = caches or Caches()
    for revision in revisions:
        caches.revisions.update(revision)
    store = store or open_store(configured.storage.uri, {})
    cluster: Any = SimpleNamespace(
        kube=SimpleNamespace(skew=timedelta()),
        caches=caches,
        store=store,
        inference=None,
        settings=configured,
        signing=signing(caches),
        revocations=None,
    )
    return asyncio.run(observe_voice(cluster, voice, now=now, consent_valid=True))


def status_after(observed: Observed) -> VoiceModelStatus:
    return status_of(decide(observed, NOW))


def test_a_changed_default_base_trains_nothing(dataset: Path) -> None:
    first = observe(a_voice(dataset), settings("tiny"))
    status = status_after(first)
    assert status.base == "tiny"
    later = observe(a_voice(dataset, status), settings("large"))
    assert (later.voice.base, later.input_hash) == ("tiny", first.input_hash)
    named = observe(a_voice(dataset, base="tiny"), settings("large"))
    assert named.input_hash == first.input_hash, "a base is a base, named or not"
    assert observe(a_voice(dataset), settings("large")).input_hash != first.input_hash


def test_a_voice_whose_status_was_lost_keeps_the_base_of_what_is_served(dataset: Path) -> None:
    older, active = a_revision("alice-1", "tiny", "Superseded"), a_revision("alice-2", "large", "Active")
    assert observe(a_voice(dataset), settings("tiny"), older, active).voice.base == "large"


def test_a_base_that_nobody_configured_is_named_and_not_remembered(dataset: Path) -> None:
    observed = observe(a_voice(dataset, base="v9"), settings())
    assert decide(observed, NOW).action.message == (
        "spec.base is v9, but the operator's configuration has: large, tiny; name one of these in spec.base"
    )
    assert status_after(observed).base is None


def test_a_base_that_left_the_configuration_is_not_replaced_in_silence(dataset: Path) -> None:
    observed = observe(a_voice(dataset, VoiceModelStatus(base="large")), settings(bases=("tiny",)))
    action = decide(observed, NOW).action
    assert action.reason == "BaseNotFound"
    assert action.message.startswith(
        "the voice was made from the base large, but the operator's configuration has: tiny"
    )
    assert status_after(observed).base == "large"


def test_recordings_are_told_apart_by_their_fingerprint_and_pinned_ones_by_their_digest(dataset: Path) -> None:
    found = observe(a_voice(dataset), settings())
    assert found.dataset is not None
    assert found.dataset.digest == ""
    assert found.dataset.fingerprint.startswith("sha256:")
    pinned = observe(a_voice(dataset, dataset={"uri": f"file://{dataset}", "digest": PINNED}), settings())
    assert pinned.dataset == ObservedDataset(uri=f"file://{dataset}", digest=PINNED, fingerprint="", generation=1)
    assert pinned.input_hash != found.input_hash


def test_evidence_with_a_digest_is_looked_at_once_before_a_training(dataset: Path, tmp_path: Path) -> None:
    form = tmp_path / "form.pdf"
    digest = "sha256:" + hashlib.sha256(b"signed").hexdigest()
    evidence = {"evidence": f"file://{form}", "evidenceDigest": digest}
    consent = {"holder": "Alice A.", "statement": "I agree."}

    allowed = settings(tenancy={"datasets": ["file:///"], "evidence": ["file:///"]})

    def problem(voice: Voice) -> tuple[str, bool]:
        action = decide(observe(voice, allowed), NOW).action
        return action.reason, any(isinstance(effect, StartJob) for effect in action.effects)

    asked = a_voice(dataset, consent=consent | evidence)
    assert problem(asked) == ("EvidenceNotFound", False)
    form.write_bytes(b"another form")
    assert problem(asked) == ("EvidenceMismatch", False)
    assert digest in decide(observe(asked, allowed), NOW).action.message
    form.write_bytes(b"signed")
    assert problem(asked) == ("Preparing", True)
    found = observe(asked, allowed)
    assert status_after(found).evidence == found.evidence
    form.unlink()
    assert problem(replace(asked, status=status_after(found))) == ("Preparing", True), "read once"
    assert problem(a_voice(dataset, consent=consent | {"evidence": f"file://{form}"})) == ("Preparing", True)


def test_a_status_of_0_1_0_trains_nothing(dataset: Path) -> None:
    new = observe(a_voice(dataset), settings())
    assert new.dataset is not None
    before = ObservedDataset(uri=new.dataset.uri, digest=new.dataset.fingerprint, generation=1)
    after = observe(a_voice(dataset, VoiceModelStatus(dataset=before)), settings())
    assert (after.dataset, after.input_hash) == (new.dataset, new.input_hash)
    (dataset / "more.txt").write_text("another file")
    assert observe(a_voice(dataset, status_after(after)), settings()).dataset == new.dataset, "listed once a generation"
    changed = replace(a_voice(dataset, status_after(after)), generation=2)
    assert observe(changed, settings()).dataset != new.dataset


def failed_at(dataset: Path, seconds_ago: float) -> Voice:
    """A voice whose preparation failed for good, with the recordings as they are listed now."""
    status = status_after(observe(a_voice(dataset), settings()))
    time = render(NOW - timedelta(seconds=seconds_ago))
    failure = LastFailure(attempt=1, failure_class="Permanent", exit_code=65, reason="SilentClip", time=time)
    prepare = StageStatus(
        name="prepare", state="Failed", attempt=1, counted=1, last_failure=failure, failures=Failures(final=1)
    )
    return a_voice(dataset, status.model_copy(update={"stages": (prepare,)}))


def test_recordings_are_listed_again_when_a_failed_voice_is_tried_again(dataset: Path) -> None:
    early, due = failed_at(dataset, 599), failed_at(dataset, 600)
    (dataset / "more.txt").write_text("another file")
    assert observe(early, settings()).dataset == early.status.dataset
    assert observe(due, settings()).dataset != due.status.dataset
    asked = replace(early, request="1")
    assert observe(asked, settings()).dataset != early.status.dataset
    answered = replace(asked, status=asked.status.model_copy(update={"last_handled_request": "1"}))
    assert observe(answered, settings()).dataset == early.status.dataset


FORBIDDEN = {"datasets": ["s3://voices/datasets/{namespace}/"]}


@pytest.mark.parametrize("digest", ["", PINNED])
def test_recordings_that_the_namespace_may_not_use_are_not_even_listed(dataset: Path, digest: str) -> None:
    voice = a_voice(dataset, dataset={"uri": f"file://{dataset}", "digest": digest})
    observed = observe(voice, settings(tenancy=FORBIDDEN), store=NeverAsked())
    action, status = decide(observed, NOW).action, status_after(observed)
    assert (action.reason, action.effects, action.stalled) == ("DatasetNotAllowed", (), True)
    assert action.message == (
        f"spec.dataset.uri is file://{dataset}, but the namespace studio may use s3://voices/datasets/studio/; put it "
        "there, or ask for another prefix (chart value tenancy.datasets); nothing is trained"
    )
    allowed = next(condition for condition in status.conditions if condition.type == "Allowed")
    assert (allowed.status, allowed.reason) == ("False", "DatasetNotAllowed")


def a_served_revision(first: Observed) -> dict[str, Any]:
    """The revision of what was observed, served."""
    revision = a_revision("alice-1", "tiny", "Active")
    assert first.dataset is not None
    recordings = {"uri": first.dataset.uri, "fingerprint": first.dataset.fingerprint}
    revision["spec"] |= {"inputHash": first.input_hash, "dataset": recordings}
    revision["metadata"]["annotations"] = seal_of("studio", "alice-1", revision["spec"])
    return revision


def test_an_upgrade_that_forbids_the_recordings_keeps_what_is_served_and_lists_nothing(dataset: Path) -> None:
    first = observe(a_voice(dataset), settings())
    status = status_after(first).model_copy(update={"active_revision": "alice-1", "server": "voice-system/default"})
    later = replace(a_voice(dataset, status), generation=2, request="1")  # edited, and asked to be tried again
    observed = observe(later, settings(tenancy=FORBIDDEN), a_served_revision(first), store=NeverAsked())
    decision = decide(observed, NOW)
    assert (observed.input_hash, observed.dataset) == (first.input_hash, first.dataset)
    assert decision.view.target is not None
    assert decision.view.target.name == "alice-1"
    assert decision.action.reason == "ServerNotFound", "it is served on; there is no server in this test"


def test_other_recordings_that_are_forbidden_leave_the_served_revision_where_it_is(dataset: Path) -> None:
    first = observe(a_voice(dataset), settings())
    status = status_after(first).model_copy(update={"active_revision": "alice-1", "server": "voice-system/default"})
    moved = replace(a_voice(dataset, status, dataset={"uri": "s3://voices/datasets/team-a/bob"}), generation=2)
    observed = observe(moved, settings(tenancy=FORBIDDEN), a_served_revision(first), store=NeverAsked())
    decision = decide(observed, NOW)
    assert decision.action.reason == "DatasetNotAllowed"
    assert decision.view.target is not None
    assert decision.view.target.name == "alice-1"


def a_record(name: str, created: str, namespace: str = "studio", **metadata: Any) -> dict[str, Any]:
    about = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    return {"metadata": about | {"creationTimestamp": created} | metadata, "spec": {}}


def test_the_oldest_voices_of_a_namespace_have_room(dataset: Path) -> None:
    caches = Caches()
    caches.voices.update(a_record("alice", "2026-11-23T06:02:00Z"))
    caches.voices.update(a_record("older", "2026-11-23T06:01:00Z"))
    caches.voices.update(a_record("younger", "2026-11-23T06:03:00Z"))
    caches.voices.update(a_record("elsewhere", "2026-11-23T06:00:00Z", namespace="team-b"))
    caches.voices.update(a_record("going", "2026-11-23T06:00:00Z", deletionTimestamp="2026-11-23T06:04:00Z"))

    def refusal(most: int) -> str:
        policy = {"max": {"voicesPerNamespace": most}}
        found = observe(a_voice(dataset), settings(policy=policy), caches=caches).refusal
        return found.message if found else ""

    assert refusal(2) == ""
    assert refusal(1) == (
        "the voice's number in its namespace, the oldest first, is 2, but at most 1 is allowed "
        "(chart value policy.max.voicesPerNamespace)"
    )


def test_a_voice_of_a_server_that_does_not_admit_it_is_not_trained(dataset: Path) -> None:
    caches = Caches()
    about = {"name": "default", "namespace": "voice-system", "uid": "uid", "generation": 1, "resourceVersion": "1"}
    caches.servers.update({"metadata": about, "spec": {"base": "tiny"}})
    observed = observe(a_voice(dataset), settings(), caches=caches)
    action = decide(observed, NOW).action
    assert (action.reason, action.effects) == ("ServerNotAllowed", ())
    caches.servers.update(
        {"metadata": about | {"resourceVersion": "2"}, "spec": {"base": "tiny", "allowedNamespaces": ["*"]}}
    )
    assert observe(a_voice(dataset), settings(), caches=caches).refusal is None
