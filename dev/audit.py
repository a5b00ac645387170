"""`python -m dev.audit`: known vulnerabilities of the packages that uv.lock pins, as OSV knows them.

uv asks; this decides. An advisory fails unless dev/audit.toml accepts it. Answers are kept for a day. Where OSV
is out of reach, that is said and nothing fails: a machine without a network can still check the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.paths import REPOSITORY, cache
from dev.terminal import main_of, say

ACCEPTED = Path(__file__).with_name("audit.toml")
KEPT_SECONDS = 24 * 3600
LONGEST = timedelta(days=183)
# uv's own patience is made for downloads; nobody waits ten seconds for a check.
IMPATIENT = {"UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "3", "UV_HTTP_TIMEOUT": "10"}
EXPERIMENTAL = ("--preview-features", "audit-command,json-output")


@dataclass(frozen=True)
class Accepted:
    """An advisory that is let pass."""

    advisory: str
    package: str
    reason: str
    until: date


def accepted(text: str, today: date) -> list[Accepted]:
    """Read dev/audit.toml.

    Raises:
        DevError: an entry lacks a field, or its end is more than half a year away.
    """
    entries = []
    for entry in tomllib.loads(text).get("accepted", []):
        fields = {"id": str, "package": str, "reason": str, "until": date}
        for name, kind in fields.items():
            if not isinstance(entry.get(name), kind) or not entry[name]:
                raise DevError(f"dev/audit.toml: an entry has no {name}: {entry}", remedy="the file's head shows one")
        if entry["until"] > today + LONGEST:
            raise DevError(
                f"dev/audit.toml accepts {entry['id']} until {entry['until']}, more than half a year away",
                remedy="name a day on which somebody looks again",
            )
        entries.append(Accepted(entry["id"], entry["package"], entry["reason"], entry["until"]))
    return entries


def problems(report: Mapping[str, Any], entries: Sequence[Accepted], today: date) -> list[str]:
    """One sentence for each advisory that nobody accepted, or no longer, and for each entry without a use."""
    sentences, used = [], set()
    for found in report["vulnerabilities"]:
        package, version = found["dependency"]["name"], found["dependency"]["version"]
        names = {found["id"], *found["aliases"]}
        entry = next((each for each in entries if each.advisory in names and each.package == package), None)
        used.add(entry)
        if entry and entry.until >= today:
            continue
        fixed = f"fixed in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "not fixed yet"
        said = f"{package} {version}: {found['id']}, {found['summary'] or 'no summary'}; {fixed}"
        ended = f" (accepted until {entry.until}, which has passed)" if entry else ""
        sentences.append(f"{said}{ended}: `uv lock --upgrade-package {package}`, or accept it in dev/audit.toml")
    warned = report.get("adverse_statuses", [])
    sentences += [f"the package index warns of a package: {json.dumps(found)}" for found in warned]
    unused = [entry for entry in entries if entry not in used]
    return sentences + [
        f"dev/audit.toml accepts {each.advisory} of {each.package}: nobody reports it" for each in unused
    ]


def report_of(lock: Path, uv: Path) -> dict[str, Any] | None:
    """OSV's answer for a lock file, at most a day old; None where it cannot be reached.

    Raises:
        DevError: uv failed for another reason.
    """
    service = os.environ.get("OSV_URL", "")
    named = hashlib.sha256(lock.read_bytes() + service.encode()).hexdigest()[:16]
    kept = cache() / "audit" / f"{named}.json"
    if kept.exists() and time.time() - kept.stat().st_mtime < KEPT_SECONDS:
        return dict(json.loads(kept.read_text()))
    command = [str(uv), "audit", "--frozen", *EXPERIMENTAL, "--output-format", "json"]
    command += ["--service-url", service] if service else []
    done = subprocess.run(
        command, cwd=lock.parent, env={**os.environ, **IMPATIENT}, check=False, capture_output=True, text=True
    )
    try:
        report = dict(json.loads(done.stdout))
    except ValueError:
        if "error sending request" in done.stderr or "timed out" in done.stderr:
            return None
        raise DevError(f"`uv audit` failed:\n{done.stderr.strip()}", remedy="run it by hand") from None
    shutil.rmtree(kept.parent, ignore_errors=True)  # answers for older lock files
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps(report))
    return report


def main() -> int:
    """Audit the lock file; return 1 when something must be done."""
    today = datetime.now(UTC).date()
    entries = accepted(ACCEPTED.read_text(), today)
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise DevError("uv is missing", remedy="run it as `make check`")
    report = report_of(REPOSITORY / "uv.lock", Path(uv))
    if report is None:
        say("audit: OSV cannot be reached from here, so nobody looked for known vulnerabilities")
        return 0
    sentences = problems(report, entries, today)
    for sentence in sentences:
        say(f"audit: {sentence}")
    if not sentences:
        audited, passed = report["summary"]["audited_packages"], len(entries)
        say(f"audit: {audited} packages, no known vulnerability" + (f" but {passed} accepted" if passed else ""))
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main_of(main))
