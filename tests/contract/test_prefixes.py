"""Operator and trainer agree on what lies below a prefix, whatever is tried."""

import pytest

from voice_operator.reconcile.prefixes import is_below
from voice_trainer.errors import Refused
from voice_trainer.job.allowed import require_allowed
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.exit_codes import failure_of

TEAM_A = "s3://voices/datasets/team-a/"


def a_job(address: str, *prefixes: str) -> TrainingJob:
    return TrainingJob.model_validate(
        {
            "schema": "voice.sovits.dev/job/v1",
            "voice": {"namespace": "team-a", "name": "alice"},
            "revision": "alice-3fa9c2d1",
            "inputHash": "3fa9c2d1" * 8,
            "language": "en",
            "dataset": {"uri": address},
            "base": {"name": "tiny", "uri": "embedded:tiny"},
            "store": {"workspace": "s3://voices/team-a/alice/1", "revision": "s3://voices/team-a/alice/revisions/1"},
            "allowed": {"datasets": prefixes},
        }
    )


def the_trainer_allows(address: str, prefix: str) -> bool:
    try:
        require_allowed(a_job(address, prefix))
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        pytest.param("s3://voices/datasets/team-a/alice", TEAM_A, id="a folder of the namespace"),
        pytest.param("s3://voices/datasets/team-a/alice/", TEAM_A, id="a slash at the end"),
        pytest.param("s3://voices/datasets/team-a/2026/alice", TEAM_A, id="deeper"),
        pytest.param("s3://voices/datasets/team-a", TEAM_A, id="the prefix itself"),
        pytest.param("s3://voices/datasets/team-a/alice", "s3://voices/datasets/team-a", id="a prefix without a slash"),
        pytest.param("s3://voices/datasets/team-a/alice", "s3://voices", id="a whole bucket"),
        pytest.param("s3://elsewhere/alice", "s3://", id="anywhere"),
    ],
)
def test_what_is_below(address: str, prefix: str) -> None:
    assert is_below(address, prefix)
    assert the_trainer_allows(address, prefix)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("s3://voices/datasets/team-b/alice", id="of another namespace"),
        pytest.param("s3://voices/datasets/team-ab/alice", id="of one whose name begins likewise"),
        pytest.param("s3://voices/datasets/team-/alice", id="of one whose name is shorter"),
        pytest.param("s3://voices/datasets", id="above"),
        pytest.param("s3://voices", id="the bucket"),
        pytest.param("s3://voices2/datasets/team-a/alice", id="of another bucket"),
        pytest.param("s3://voices/team-a/alice", id="what a training made"),
        pytest.param("s3://voices/datasets/team-a/../team-b/alice", id="two dots"),
        pytest.param("s3://voices/datasets/team-a/..", id="two dots at the end"),
        pytest.param("s3://voices/datasets/./team-a/alice", id="one dot"),
        pytest.param("s3://voices/datasets//team-a/alice", id="an empty segment before"),
        pytest.param("s3://voices/datasets/team-a//alice", id="an empty segment behind"),
        pytest.param("s3://voices//datasets/team-a/alice", id="an empty segment at the root"),
        pytest.param("s3://voices/datasets/team-a/%2e%2e/team-b", id="dots in percent signs"),
        pytest.param("s3://voices/datasets/team%2Da/alice", id="a hyphen in percent signs"),
        pytest.param("s3://voices/datasets%2Fteam-a/alice", id="a slash in percent signs"),
        pytest.param("s3://voices/datasets/Team-A/alice", id="upper case"),
        pytest.param("S3://voices/datasets/team-a/alice", id="upper case of the scheme"),
        pytest.param("s3://VOICES/datasets/team-a/alice", id="upper case of the bucket"),
        pytest.param("file:///voices/datasets/team-a/alice", id="another scheme"),
        pytest.param("s3:/voices/datasets/team-a/alice", id="no authority"),
        pytest.param("s3://voices/datasets/team-a\\..\\team-b", id="backslashes"),
        pytest.param("s3://voices/datasets/team-a/alice?x=1", id="a query"),
        pytest.param("s3://voices/datasets/team-a/alice#x", id="a fragment"),
        pytest.param("s3://voices/datasets/team-a/a\n", id="a line end"),
        pytest.param("s3://key@voices/datasets/team-a/alice", id="a user name"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_not_below(address: str) -> None:
    assert not is_below(address, TEAM_A)
    assert not the_trainer_allows(address, TEAM_A)


def test_the_trainer_says_what_is_allowed_and_ends_as_by_configuration() -> None:
    with pytest.raises(Refused) as caught:
        require_allowed(a_job("s3://voices/datasets/team-b/bob", TEAM_A, "s3://shared/"))
    failure = failure_of(caught.value, "prepare")
    assert (failure.exit_code, failure.reason) == (78, "DatasetNotAllowed")
    assert failure.message == (
        "dataset.uri is s3://voices/datasets/team-b/bob, but the namespace team-a may use "
        "s3://voices/datasets/team-a/ or s3://shared/; nothing was read or trained"
    )


def test_a_job_of_a_release_without_prefixes_is_not_checked() -> None:
    job = TrainingJob.model_construct(allowed=None)
    require_allowed(job)


@pytest.mark.parametrize(
    ("address", "prefix", "expected"),
    [
        ("https://forms.example.org/signed/1.pdf", "https://", True),
        ("https://forms.example.org/signed/1.pdf", "https://forms.example.org/signed/", True),
        ("https://forms.example.org.evil.example/signed/1.pdf", "https://forms.example.org/signed/", False),
        ("https://forms.example.org@evil.example/signed/1.pdf", "https://forms.example.org/signed/", False),
        ("https://forms.example.org/signed/../private/1.pdf", "https://forms.example.org/signed/", False),
        ("https://forms.example.org/signed/%2e%2e/private", "https://forms.example.org/signed/", False),
        ("http://forms.example.org/signed/1.pdf", "https://", False),
        ("s3://voices/evidence/team-a/1.pdf", "https://", False),
    ],
)
def test_evidence_may_lie_outside_the_store(address: str, prefix: str, *, expected: bool) -> None:
    assert is_below(address, prefix) is expected
