"""The comment on a merge request, kept by servers that answer as GitLab and GitHub document it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.forges import TOKEN, GitHub, GitLab, Kept, job, running

from voice_cli.errors import ClusterRefused, NotFound, Unavailable, UsageError
from voice_cli.merge_requests import comment, forge_of, shortened
from voice_cli.reports import link_to

CUT_OFF = {"VOICE_COMMENT_TOKEN": TOKEN, "CI_API_V4_URL": "http://127.0.0.1:1", "CI_MERGE_REQUEST_IID": "5"}


@pytest.fixture(params=[GitLab, GitHub], ids=["GitLab", "GitHub"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    with running(request.param) as server:
        yield server


def test_one_comment_is_written_and_then_written_anew(kept: Kept) -> None:
    for number in range(150):
        kept.add({"id": 1, "type": "User"}, f"remark {number}")
    forge = forge_of(job(kept))
    assert comment(forge, "studio", "first") == "commented on merge request 5"
    assert comment(forge, "studio", "second") == "wrote the comment on merge request 5 anew"
    assert comment(forge, "other", "third") == "commented on merge request 5"
    assert [one["body"] for one in kept.comments[150:]] == [
        "<!-- voice-operator studio -->\nsecond",
        "<!-- voice-operator other -->\nthird",
    ]


def test_a_comment_of_somebody_else_with_our_mark_stays_theirs(kept: Kept) -> None:
    kept.add({"id": 1, "type": "User"}, "<!-- voice-operator studio -->\nall is well")
    comment(forge_of(job(kept)), "studio", "it is not")
    assert [one["body"].partition("\n")[2] for one in kept.comments] == ["all is well", "it is not"]


def test_a_merge_requests_own_pipeline_names_it(kept: Kept, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 5}}))
    own = {"CI_MERGE_REQUEST_IID": "5", "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": "x", "CI_COMMIT_SHA": "x"}
    assert comment(forge_of(job(kept, **own)), "studio", "text") == "commented on merge request 5"
    assert not any("/commits/" in request for request in kept.requests)


def test_a_wrong_token_is_told_with_what_it_needs(kept: Kept) -> None:
    with pytest.raises(ClusterRefused, match=r"says 401: 401 Unauthorized; VOICE_COMMENT_TOKEN needs the right"):
        comment(forge_of(job(kept, VOICE_COMMENT_TOKEN="old")), "studio", "text")


@pytest.mark.parametrize("kept", [GitLab], indirect=True)
def test_what_gitlab_may_answer_besides(kept: Kept) -> None:
    assert comment(forge_of(job(kept, CI_COMMIT_SHA="lonely")), "studio", "text") == (
        "commit lonely belongs to no merge request, so there is no comment"
    )
    with pytest.raises(NotFound, match=r"says 404: 404 Project Not Found; may VOICE_COMMENT_TOKEN see the project\?"):
        comment(forge_of(job(kept, CI_PROJECT_ID="43")), "studio", "text")
    with pytest.raises(Exception, match="GitLab says 302"):
        comment(forge_of(job(kept, CI_PROJECT_ID="13")), "studio", "text")
    assert not any("elsewhere" in request for request in kept.requests), "the token is for no other address"
    assert kept.comments == []


def test_a_job_without_a_token_or_of_another_kind_is_told() -> None:
    with pytest.raises(UsageError, match="VOICE_COMMENT_TOKEN is not set"):
        forge_of({"CI_API_V4_URL": "http://127.0.0.1:1"})
    with pytest.raises(UsageError, match="no job of GitLab or GitHub"):
        forge_of({"VOICE_COMMENT_TOKEN": "x", "BUILD_URL": "http://jenkins"})
    with pytest.raises(Unavailable, match=r"GitLab does not answer at http://127\.0\.0\.1:1"):
        comment(forge_of(CUT_OFF), "studio", "text")


def test_a_long_text_is_cut_between_lines_and_says_so() -> None:
    text = "".join(f"| lecturer-{number:03d} |\n" for number in range(1000))
    short = shortened(text, 2000)
    assert len(short) <= 2000
    *kept, empty, last = short.splitlines()
    assert text.startswith("\n".join(kept))
    assert (empty, last) == ("", f"… and {1000 - len(kept)} lines more, in the job's artifacts.")
    assert shortened("all", 2000) == "all"


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"CI_JOB_URL": "https://git.example.org/v/-/jobs/9"}, "/v/-/jobs/9/artifacts/file/out/alice%201.html"),
        (
            {"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "9"},
            "/a/b/actions/runs/9#artifacts",
        ),
        ({"BUILD_URL": "https://git.example.org/job/v/9/"}, "/job/v/9/artifact/out/alice%201.html"),
    ],
)
def test_a_report_is_linked_where_the_pipeline_shows_it(environment: dict[str, str], address: str) -> None:
    assert link_to(Path("out/alice 1.html"), environment) == f"https://git.example.org{address}"
    assert link_to(Path("out/alice 1.html"), {}) == "out/alice 1.html"
