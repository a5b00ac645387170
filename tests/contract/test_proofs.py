"""Seals and receipts: what one part signs the other verifies, and nothing else."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.signing import KEY, PEM, SINCE

from voice_inference.bundles.references import VoiceReference
from voice_inference.voices.desired import parse_desired
from voice_inference.voices.seals import Seals
from voice_inference.voices.seals import statement as checked_by_server
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_revision import VoiceRevisionSpec
from voice_operator.api.voice_status import LastFailure, ResolvedBase, StageName, StageStatus, VoiceModelStatus
from voice_operator.manifests.attempt_keys import attempt_secret
from voice_operator.manifests.job_document import job_document
from voice_operator.manifests.voice_list import list_document
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.observed import DesiredVoice, ObservedJob, Proof, ServerRef, StageFolder, Voice
from voice_operator.reconcile.proofs import CHAIN, Verifier, chain_problems, inputs_of, is_whole
from voice_operator.reconcile.seals import spec_digest, statement
from voice_operator.settings import Settings
from voice_operator.signing import SigningKey, new_key
from voice_trainer.job.document import read_job
from voice_trainer.job.receipts import Prover, digest_of_bytes, open_prover

HASH = "3fa9c2d1" * 8
DIGEST = "sha256:" + "b" * 64
SPEC = {
    "language": "en",
    "dataset": {"uri": "s3://voices/datasets/alice"},
    "consent": {"holder": "Alice A.", "statement": "I agree."},
}
SETTINGS = Settings.model_validate(
    {
        "images": {"trainer": "t", "inference": "i"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": "s3://voices"},
    }
)
ALICE = Voice(
    "studio",
    "alice",
    "a-uid",
    1,
    VoiceModelSpec.model_validate(SPEC),
    VoiceModelStatus(),
    created_at=SINCE + timedelta(days=1),
    default_base="tiny",
)
REVISION: dict[str, Any] = {
    "voiceModel": "alice",
    "inputHash": HASH,
    "workspace": f"s3://voices/studio/alice/{HASH}",
    "language": "en",
    "dataset": {"uri": "s3://voices/datasets/alice", "digest": DIGEST},
    "base": {"name": "tiny", "uri": "embedded:tiny"},
    "training": {"rank": 8},
    "consent": {"holder": "Alice A.", "statement": "I agree."},
    "artifacts": {"uri": "s3://voices/studio/alice/revisions/alice-3fa9c2d1", "digest": DIGEST, "size": 7},
    "evaluation": {"scores": {"pesq": "3.9"}},
}


def prover(tmp_path: Path, stage: StageName, attempt: int, voice: Voice = ALICE, key: SigningKey = KEY) -> Prover:
    """What the trainer signs with in the pod of an attempt, from the documents that the operator writes."""
    start = StartJob(stage, attempt)
    secret = attempt_secret(voice, stage, attempt, HASH, key, store_keys={})
    (tmp_path / "keys.json").write_bytes(base64.b64decode(secret["data"]["keys.json"]))
    document = job_document(voice, start, HASH, SETTINGS)
    document["receipts"]["keys"] = str(tmp_path / "keys.json")
    (tmp_path / "job.json").write_text(json.dumps(document))
    found = open_prover(read_job(tmp_path / "job.json"))
    assert found is not None
    return found


def a_job(stage: StageName, attempt: int, state: Any = "Succeeded", **about: Any) -> ObservedJob:
    return ObservedJob(f"alice-3fa9c2d1-{stage}-{attempt}", stage, attempt, HASH, state=state, **about)


def verifier(*jobs: ObservedJob, recorded: tuple[StageStatus, ...] = (), voice: Voice = ALICE) -> Verifier:
    return Verifier(voice, HASH, KEY, jobs, recorded)


def test_the_operator_accepts_what_the_trainer_signed(tmp_path: Path) -> None:
    receipt = prover(tmp_path, "train", 2).receipt("train", digest_of_bytes(b"made"), {"features": DIGEST})
    proof = verifier(a_job("train", 2)).proof("train", b"made", receipt)
    expected = Proof("train", "alice-3fa9c2d1-train-2", 2, digest_of_bytes(b"made"), {"features": DIGEST})
    assert proof == expected


@pytest.mark.parametrize(
    ("folder", "manifest", "changes", "sentence"),
    [
        pytest.param("train", b"other", {}, "somebody changed it", id="another manifest"),
        pytest.param("features", b"made", {}, "another stage", id="the receipt of another stage"),
        pytest.param("train", b"made", {"attempt": 3}, "no attempt of this voice's stage", id="another attempt"),
        pytest.param("train", b"made", {"tag": "0" * 64}, "no attempt of this voice's stage", id="another tag"),
        pytest.param("train", b"made", {"inputs": {}}, "no attempt", id="another origin"),
        pytest.param("train", b"made", {"inputHash": "0" * 64}, "", id="another input"),
        pytest.param("train", b"made", {"manifest": "x"}, "no receipt", id="a digest that is none"),
        pytest.param("train", b"made", {"schema": "x"}, "no receipt", id="another schema"),
    ],
)
def test_the_operator_refuses(
    tmp_path: Path, folder: StageFolder, manifest: bytes, changes: dict[str, Any], sentence: str
) -> None:
    receipt = json.loads(prover(tmp_path, "train", 2).receipt("train", digest_of_bytes(b"made"), {"features": DIGEST}))
    proof = verifier(a_job("train", 2)).proof(folder, manifest, json.dumps(receipt | changes).encode())
    assert isinstance(proof, str)
    assert sentence in proof


def test_a_receipt_of_another_voice_or_installation_is_none(tmp_path: Path) -> None:
    strangers = (
        prover(tmp_path, "train", 2, voice=replace(ALICE, uid="another-uid")),
        prover(tmp_path, "train", 2, key=SigningKey(new_key(), SINCE)),
        prover(tmp_path, "evaluate", 2),
    )
    for stranger in strangers:
        receipt = json.loads(stranger.receipt("train", digest_of_bytes(b"made"), {}))
        receipt["job"] = "alice-3fa9c2d1-train-2"
        proof = verifier(a_job("train", 2)).proof("train", b"made", json.dumps(receipt).encode())
        assert isinstance(proof, str)


FAILED = LastFailure(
    attempt=2, failure_class="Transient", exit_code=75, reason="StoreUnavailable", time="2026-11-23T06:07:00Z"
)


def record(state: Any, attempt: int, counted: int, last_failure: LastFailure | None = None) -> tuple[StageStatus, ...]:
    return (StageStatus(name="train", state=state, attempt=attempt, counted=counted, last_failure=last_failure),)


@pytest.mark.parametrize(
    ("jobs", "recorded", "proved"),
    [
        pytest.param([a_job("train", 2)], (), True, id="its Job succeeded"),
        pytest.param([a_job("train", 3)], (), True, id="a later one succeeded and took it over"),
        pytest.param([a_job("train", 1)], (), True, id="its Job came and went unseen after one that is there"),
        pytest.param([], record("Pending", 1, 1), True, id="its Job came and went unseen after one that was recorded"),
        pytest.param([], record("Pending", 0, 0), False, id="an attempt before it is not known either"),
        pytest.param([a_job("train", 2, "Failed")], record("Pending", 2, 2), False, id="its Job failed"),
        pytest.param([a_job("train", 2, "Running")], record("Running", 2, 1), False, id="its Job still runs"),
        pytest.param([], (), False, id="no Job was seen"),
        pytest.param([], record("Succeeded", 2, 2), True, id="its Job is gone and was recorded"),
        pytest.param([], record("Running", 2, 1), True, id="its Job is gone before it was recorded"),
        pytest.param([], record("Pending", 2, 2), True, id="its Job was deleted while it ran"),
        pytest.param([], record("Pending", 2, 2, FAILED), False, id="its Job is gone and was recorded as failed"),
    ],
)
def test_a_job_must_have_been_seen_to_succeed(
    tmp_path: Path, jobs: list[ObservedJob], recorded: tuple[StageStatus, ...], *, proved: bool
) -> None:
    receipt = prover(tmp_path, "train", 2).receipt("train", digest_of_bytes(b"made"), {})
    proof = verifier(*jobs, recorded=recorded).proof("train", b"made", receipt)
    assert isinstance(proof, Proof) is proved
    assert proved or "was not seen to succeed" in str(proof)


def test_what_the_pod_reported_must_be_what_the_bucket_has(tmp_path: Path) -> None:
    signs = prover(tmp_path, "train", 1)
    receipt = signs.receipt("train", digest_of_bytes(b"made"), {})
    for reported, proved in ((b"made", True), (b"other", False)):
        report = signs.result({"train": digest_of_bytes(reported)}).decode()
        assert len(report) < 4096, "the kubelet keeps no more"
        proof = verifier(a_job("train", 1, report=report)).proof("train", b"made", receipt)
        assert isinstance(proof, Proof) is proved
    forged = json.dumps(json.loads(report) | {"tag": "0" * 64})
    assert isinstance(verifier(a_job("train", 1, report=forged)).proof("train", b"made", receipt), Proof)


@pytest.mark.parametrize(
    ("voice_age", "job_age", "written", "accepted"),
    [
        pytest.param(-2, None, -1, True, id="voice and result are older than the key"),
        pytest.param(-2, None, 1, False, id="the result is younger"),
        pytest.param(-2, -1, 1, True, id="its Job was made before the key"),
        pytest.param(-2, 1, 1, False, id="its Job is younger too"),
        pytest.param(1, -1, -1, False, id="the voice is younger"),
    ],
)
def test_results_from_before_there_were_receipts(
    voice_age: int, job_age: int | None, written: int, *, accepted: bool
) -> None:
    def day(number: int) -> datetime:
        return SINCE + timedelta(days=number)

    jobs = [] if job_age is None else [a_job("train", 1, created_at=day(job_age))]
    found = verifier(*jobs, voice=replace(ALICE, created_at=day(voice_age))).older("train", b"made", day(written))
    assert (found is not None) is accepted
    assert found is None or (found.attempt, found.manifest) == (0, digest_of_bytes(b"made"))


def a_chain() -> dict[StageFolder, Proof]:
    digests = {folder: digest_of_bytes(folder.encode()) for folder in CHAIN}
    return {
        folder: Proof(folder, "job", 1, digests[folder], {one: digests[one] for one in CHAIN[: CHAIN.index(folder)]})
        for folder in CHAIN
    }


def test_a_chain_is_whole_when_each_result_was_made_from_the_ones_before_it() -> None:
    chain = a_chain()
    assert is_whole(chain.values())
    assert inputs_of("evaluate", chain) == {one: chain[one].manifest for one in ("prepare", "features", "train")}
    assert inputs_of("prepare", chain) == {}
    for folder in CHAIN:
        assert not is_whole(proof for proof in chain.values() if proof.folder != folder)
        again = chain | {folder: replace(chain[folder], manifest=DIGEST)}
        assert set(chain_problems(again)) == set(CHAIN[CHAIN.index(folder) + 1 :])
    silent = chain | {"evaluate": replace(chain["evaluate"], inputs={})}
    assert "does not say from which" in chain_problems(silent)["evaluate"]


def test_the_server_verifies_what_the_operator_signed() -> None:
    reference = VoiceReference(id="studio/alice", revision="alice-1", uri="s3://v/alice", digest=DIGEST)
    spec = spec_digest(VoiceRevisionSpec.model_validate(REVISION))
    signed = statement(voice="studio/alice", revision="alice-1", digest=DIGEST, spec=spec)
    assert signed == checked_by_server(reference, spec)
    assert Seals(KEY.public.text).accepts(reference, seal=KEY.sign(signed), spec=spec)


def test_the_server_accepts_the_entries_that_the_operator_signed_and_no_others() -> None:
    spec = spec_digest(VoiceRevisionSpec.model_validate(REVISION))
    base = ResolvedBase(name="tiny", uri="embedded:tiny")
    entries = []
    for name in ("alice", "bob"):
        signed = statement(voice=f"studio/{name}", revision=f"{name}-1", digest=DIGEST, spec=spec)
        entries.append(
            DesiredVoice(
                f"studio/{name}", f"{name}-1", "s3://v/1", DIGEST, base, seal=KEY.sign(signed), spec_digest=spec
            )
        )
    entries[1] = replace(entries[1], digest="sha256:" + "c" * 64)
    document = list_document(ServerRef("studio", "default", "uid"), entries, base, 1, SETTINGS)
    found = parse_desired(json.dumps(document).encode(), source="test", seals=Seals(KEY.public.text))
    assert [voice.id for voice in found.voices] == ["studio/alice"]
    assert found.voices[0].names_expiry, "the entry's word on the consent counts more than the bundle's"


def test_the_canonical_spec_is_frozen() -> None:
    """A release that computes another digest for an old record would unload every voice."""
    spec = VoiceRevisionSpec.model_validate(REVISION)
    assert spec_digest(spec) == "sha256:499fc580fb27f46ecae485c3043956c00eeb9d0dc4d99bf23a7face75ea04f8b"
    defaults = {"source": {}, "provenance": [], "trainerImage": "", "algorithm": {"training": 1, "text": 1}}
    assert spec_digest(VoiceRevisionSpec.model_validate(REVISION | defaults)) == spec_digest(spec)
    changed = REVISION | {"trainerImage": "t:2"}
    assert spec_digest(VoiceRevisionSpec.model_validate(changed)) != spec_digest(spec)


def test_the_key_of_an_attempt_is_frozen_and_its_own() -> None:
    """Another derivation would make every training under way start again."""
    key = SigningKey(PEM, datetime(2026, 1, 1, tzinfo=UTC))
    assert (
        key.attempt_key("uid", HASH, "train", 1).hex()
        == "9bc1db1e001ca3c4c144bfec0043b3d05735040565149265d48f1a6dc7fd31b5"
    )
    others = {
        key.attempt_key(*names).hex()
        for names in (
            ("other", HASH, "train", 1),
            ("uid", "0" * 64, "train", 1),
            ("uid", HASH, "evaluate", 1),
            ("uid", HASH, "train", 2),
        )
    }
    assert len(others | {key.attempt_key("uid", HASH, "train", 1).hex()}) == 5
