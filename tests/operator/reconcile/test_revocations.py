"""What was revoked stays revoked, whatever was deleted since; and nobody else's consent goes with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from voice_operator.errors import InvalidObject, ListTooLong
from voice_operator.manifests.revocation_list import MAX_BYTES, SHARDS, read_secret, revocation_secret, shard_of
from voice_operator.reconcile.revocations import Claim, Revocation, RevocationIndex, hashed_claim, revocation_of

AT = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
SALT = b"s" * 32
REVOKED = Claim(
    "studio",
    "alice",
    "uid-1",
    AT - timedelta(days=9),
    "Alice A.",
    "s3://e/alice.pdf",
    "sha256:e",
    frozenset({"sha256:r"}),
)
KNOWN = revocation_of(REVOKED, "2026-11-23T06:07:00Z", SALT)
LATER = replace(REVOKED, uid="uid-2", created=AT + timedelta(hours=1))


def why_revoked(claim: Claim, revocations: list[Revocation]) -> str | None:
    return RevocationIndex(revocations).why_revoked(claim, hashed_claim(claim, SALT))


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        pytest.param(REVOKED, "the consent of Alice A.", id="the voice itself"),
        pytest.param(replace(REVOKED, evidence="s3://e/new.pdf"), "of Alice A.", id="itself, other evidence"),
        pytest.param(LATER, "for these recordings", id="made again"),
        pytest.param(replace(LATER, evidence="", evidence_digest=""), "for these recordings", id="without evidence"),
        pytest.param(replace(LATER, voice="bob"), "for these recordings", id="under another name"),
        pytest.param(replace(LATER, voice="bob", holder="Bob"), "for these recordings", id="of somebody else, it says"),
        pytest.param(replace(LATER, recordings=frozenset({"sha256:new"})), "for alice", id="with other recordings"),
        pytest.param(replace(LATER, recordings=frozenset()), "for alice", id="before they are listed"),
        pytest.param(replace(LATER, evidence="s3://e/copy.pdf"), "for these", id="the same form at another address"),
        pytest.param(replace(LATER, created=AT - timedelta(days=1)), "for these", id="a clock that is behind"),
        pytest.param(replace(LATER, voice="bob", created=None), "for these", id="nobody knows when"),
    ],
)
def test_a_revocation_covers(claim: Claim, why: str) -> None:
    found = why_revoked(claim, [KNOWN])
    assert found is not None
    assert why in found
    assert "2026-11-23T06:07:00Z" in found


OTHERS = frozenset({"sha256:others"})
OTHER_FORM = {"evidence": "s3://e/2027.pdf", "evidence_digest": "sha256:2027"}


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(replace(LATER, **OTHER_FORM), id="a consent with evidence of its own"),
        pytest.param(replace(LATER, evidence="https://example.org/2027", evidence_digest=""), id="at an address"),
        pytest.param(
            replace(LATER, voice="bob", holder="Bob", recordings=frozenset({"sha256:bob"})), id="another person"
        ),
        pytest.param(
            replace(LATER, voice="bob", recordings=frozenset({"sha256:bob"})), id="another voice of the holder"
        ),
        pytest.param(replace(LATER, voice="alice-2", created=AT - timedelta(1)), id="one that stood beside it"),
        pytest.param(replace(LATER, holder="Alba", recordings=OTHERS), id="another person of the same name"),
    ],
)
def test_a_revocation_does_not_cover(claim: Claim) -> None:
    assert why_revoked(claim, [KNOWN]) is None


def test_each_of_several_revocations_counts() -> None:
    second = revocation_of(replace(LATER, **OTHER_FORM), "2026-12-01T00:00:00Z", SALT)
    third = replace(LATER, uid="uid-3", created=AT + timedelta(days=30), **OTHER_FORM)
    assert why_revoked(third, [KNOWN, second]) is not None


def test_names_addresses_and_digests_are_not_in_what_is_kept() -> None:
    secret = revocation_secret("voice-system", "revocations", 3, SALT, [KNOWN])
    text = str(KNOWN) + str(secret)
    assert not [word for word in ("Alice", "alice", "s3://", "sha256:r", "sha256:e") if word in text]
    assert read_secret(secret) == (SALT, (KNOWN,))
    assert secret["metadata"]["name"] == "revocations-3"


def test_what_does_not_fit_is_refused_and_not_cut_off() -> None:
    many = [replace(KNOWN, uid=f"uid-{number}") for number in range(5000)]
    with pytest.raises(ListTooLong, match="revocations-0 is full"):
        revocation_secret("voice-system", "revocations", 0, SALT, many)
    fits = MAX_BYTES // (len(str(KNOWN)) + 40)
    revocation_secret("voice-system", "revocations", 0, SALT, many[:fits])
    assert fits > 2500


def test_uids_are_spread_over_the_secrets() -> None:
    counts = [sum(shard_of(f"uid-{number}") == shard for number in range(8000)) for shard in range(SHARDS)]
    assert min(counts) > 900


@pytest.mark.parametrize(
    "data",
    [{}, {"salt": "AAAA", "revocations": ""}, {"salt": "?"}, {"salt": "c3M=", "revocations": "e30K"}],
)
def test_a_secret_that_was_edited_is_a_sentence(data: dict[str, str]) -> None:
    with pytest.raises(InvalidObject, match="restore it from a backup"):
        read_secret({"metadata": {"name": "revocations-0"}, "data": data})


def test_a_revocation_without_recordings_and_evidence_covers_its_name() -> None:
    bare = Claim("studio", "alice", "uid-1", AT, "Alice A.")
    known = revocation_of(bare, "2026-11-23T06:07:00Z", SALT)
    assert known == Revocation("studio", "uid-1", "2026-11-23T06:07:00Z", known.voice, known.holder)
    assert why_revoked(replace(bare, uid="uid-2"), [known]) is not None
    assert why_revoked(replace(bare, uid="uid-2", voice="bob"), [known]) is None
