"""Reports of a push, fetched for a pipeline's artifacts; and where the pipeline shows them."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from voice_cli.api import REVISION, Object
from voice_cli.bundles import REPORT, bundle_of
from voice_cli.kubectl import Kubectl

MAX_REPORTS = 20  # of some megabytes each: what pipelines take as artifacts


def fetch_report(state: Object, kubectl: Kubectl, folder: Path) -> Path | None:
    """Fetch the report of the revision that a voice serves or holds ready; None: there is none.

    Raises:
        CliError: the revision cannot be read.
        StoreError: its bundle cannot.
    """
    status, metadata = state.get("status") or {}, state.get("metadata") or {}
    revision = str(status.get("candidateRevision") or status.get("activeRevision") or "")
    if not revision:
        return None
    bundle = bundle_of(kubectl.within(str(metadata["namespace"])).get(REVISION, revision))
    if REPORT not in bundle.files:
        return None
    target = folder / f"{metadata['name']}.html"
    bundle.fetch({REPORT: target})
    return target


def link_to(file: Path, environment: Mapping[str, str]) -> str:
    """Return the address at which this pipeline shows an artifact; without a pipeline, the file's name.

    Args:
        file: relative to the job's folder.
        environment: of the job.
    """
    path = quote(file.as_posix())
    if "CI_JOB_URL" in environment:  # GitLab
        return f"{environment['CI_JOB_URL']}/artifacts/file/{path}"
    if "GITHUB_RUN_ID" in environment:  # one archive for each run
        run = f"{environment.get('GITHUB_REPOSITORY', '')}/actions/runs/{environment['GITHUB_RUN_ID']}"
        return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{run}#artifacts"
    if "BUILD_URL" in environment:  # Jenkins
        return f"{environment['BUILD_URL'].rstrip('/')}/artifact/{path}"
    return str(file)
