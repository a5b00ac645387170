"""The comment on a merge request, by GitLab's notes API or GitHub's issue comments API: one, written anew each time.

A comment is ours when it begins with our mark and the token's own user wrote it: others can write the mark too, and
could change what they wrote afterwards.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_cli.errors import CliError, ClusterRefused, NotFound, Unavailable, UsageError
from voice_store.printable import printable

TOKEN = "VOICE_COMMENT_TOKEN"  # noqa: S105 -- a variable's name
TIMEOUT_SECONDS = 30
PAGE = 100
PAGES = 50  # of comments that are looked at
MAX_ANSWER_BYTES = 16 << 20
MAX_EVENT_BYTES = 32 << 20


@dataclass(frozen=True)
class Forge:
    """Where comments go; paths have the places {number}, {id} and {commit}."""

    name: str
    api: str
    headers: Mapping[str, str]
    comments: str
    comment: str
    by_commit: str
    change: str  # method that writes a comment anew
    number_key: str  # of a merge request
    author_key: str  # of a comment
    limit: int  # characters of a comment
    number: str = ""  # of the merge request; empty: the commit's
    commit: str = ""


def forge_of(environment: Mapping[str, str]) -> Forge:
    """Return where the pipeline of this environment comments.

    Raises:
        UsageError: it is no pipeline of a known kind, or has no token.
    """
    token = environment.get(TOKEN, "").strip()
    if not token:
        raise UsageError(f"{TOKEN} is not set; give it a token that may comment on merge requests")
    if "CI_API_V4_URL" in environment:
        return _gitlab(environment, token)
    if "GITHUB_REPOSITORY" in environment:
        return _github(environment, token)
    raise UsageError("this is no job of GitLab or GitHub: neither CI_API_V4_URL nor GITHUB_REPOSITORY is set")


def _gitlab(environment: Mapping[str, str], token: str) -> Forge:
    project = f"/projects/{urllib.parse.quote(environment.get('CI_PROJECT_ID', ''), safe='')}"
    notes = f"{project}/merge_requests/{{number}}/notes"
    return Forge(
        name="GitLab",
        api=environment["CI_API_V4_URL"].rstrip("/"),
        headers={"PRIVATE-TOKEN": token},
        comments=notes,
        comment=f"{notes}/{{id}}",
        by_commit=f"{project}/repository/commits/{{commit}}/merge_requests",
        change="PUT",
        number_key="iid",
        author_key="author",
        limit=1_000_000,
        number=environment.get("CI_MERGE_REQUEST_IID", ""),
        commit=environment.get("CI_COMMIT_SHA", ""),
    )


def _github(environment: Mapping[str, str], token: str) -> Forge:
    repository = f"/repos/{urllib.parse.quote(environment['GITHUB_REPOSITORY'])}"
    return Forge(
        name="GitHub",
        api=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        comments=f"{repository}/issues/{{number}}/comments",
        comment=f"{repository}/issues/comments/{{id}}",
        by_commit=f"{repository}/commits/{{commit}}/pulls",
        change="PATCH",
        number_key="number",
        author_key="user",
        limit=65_536,
        number=_pull_request(environment.get("GITHUB_EVENT_PATH", "")),
        commit=environment.get("GITHUB_SHA", ""),
    )


def _pull_request(event: str) -> str:
    """Return the number of the pull request that the event is about; empty: it is about none."""
    try:
        with Path(event).open("rb") as file:
            return str(json.loads(file.read(MAX_EVENT_BYTES))["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def comment(forge: Forge, namespace: str, text: str) -> str:
    """Write the comment of a namespace on the merge request; return a sentence about it.

    Raises:
        CliError: the forge refuses or does not answer.
    """
    number = forge.number or _number_of(forge)
    if not number:
        return f"commit {forge.commit[:12]} belongs to no merge request, so there is no comment"
    mark = f"<!-- voice-operator {namespace} -->"
    body = {"body": f"{mark}\n{shortened(text, forge.limit - len(mark) - 1)}"}
    ours = next((one for one in _comments(forge, number) if str(one.get("body")).startswith(mark)), None)
    if ours is None:
        _ask(forge, "POST", forge.comments.format(number=number), body)
        return f"commented on merge request {number}"
    _ask(forge, forge.change, forge.comment.format(number=number, id=ours["id"]), body)
    return f"wrote the comment on merge request {number} anew"


def shortened(text: str, limit: int) -> str:
    """Return whole lines of a text within so many characters; the last one says how many are left out."""
    if len(text) <= limit:
        return text
    lines, kept, size = text.splitlines(keepends=True), 0, 0
    room = limit - 80
    while kept < len(lines) and size + len(lines[kept]) <= room:
        size += len(lines[kept])
        kept += 1
    return "".join(lines[:kept]) + f"\n… and {len(lines) - kept} lines more, in the job's artifacts.\n"


def _number_of(forge: Forge) -> str:
    if not forge.commit:
        return ""
    found = _ask(forge, "GET", forge.by_commit.format(commit=urllib.parse.quote(forge.commit, safe="")))
    numbers = [one[forge.number_key] for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return str(numbers[0]) if numbers else ""


def _comments(forge: Forge, number: str) -> Iterator[dict[str, Any]]:
    """Yield the comments of the token's own user."""
    own = _own_id(forge)
    for page in range(1, PAGES + 1):
        query = urllib.parse.urlencode({"per_page": PAGE, "page": page})
        found = _ask(forge, "GET", f"{forge.comments.format(number=number)}?{query}")
        for one in found if isinstance(found, list) else ():
            author = one.get(forge.author_key) or {}
            if author.get("id") == own or (own is None and author.get("type") == "Bot"):
                yield one
        if not isinstance(found, list) or len(found) < PAGE:
            return


def _own_id(forge: Forge) -> int | None:
    """Return the id of the token's user; None: a job's token of GitHub, which is a bot and may not ask."""
    try:
        found = _ask(forge, "GET", "/user")
    except ClusterRefused:
        if forge.name != "GitHub":
            raise
        return None
    return int(found["id"])


class _Redirected(urllib.request.HTTPRedirectHandler):
    """Follows none: the token is for the address that the pipeline gives, and for no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(forge: Forge, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    url = forge.api + path
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{forge.api!r} is no address of {forge.name}'s API")
    data = None if body is None else json.dumps(body).encode()
    headers = {**forge.headers, "Content-Type": "application/json", "User-Agent": "voice-operator"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 -- checked above
    try:
        with urllib.request.build_opener(_Redirected).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.loads(answer.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        raise _refusal(forge, error) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise Unavailable(f"{forge.name} does not answer at {forge.api}: {getattr(error, 'reason', error)}") from error
    except ValueError as error:
        raise Unavailable(f"{forge.name} answered something at {forge.api} that is no JSON") from error


def _refusal(forge: Forge, error: urllib.error.HTTPError) -> CliError:
    try:
        said = str(json.loads(error.read(65536))["message"])
    except (ValueError, KeyError, TypeError):
        said = str(error.reason)
    sentence = f"{forge.name} says {error.code}: {printable(said)[:500]}"
    if error.code in {401, 403}:
        return ClusterRefused(f"{sentence}; {TOKEN} needs the right to comment")
    if error.code == 404:
        return NotFound(f"{sentence}; may {TOKEN} see the project?")
    return Unavailable(sentence) if error.code >= 500 or error.code == 429 else CliError(sentence)
