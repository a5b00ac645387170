"""A record on the VoiceRevision of who takes its bundle out of the store, made before it is fetched."""

from datetime import datetime
from typing import Any

from voice_cli.api import REVISION, Object, name_of
from voice_cli.kubectl import Kubectl
from voice_cli.times import rendered


def record_export(kubectl: Kubectl, revision: Object, reason: str, now: datetime) -> None:
    """Add the caller's record, in the name that the API server knows; whom it refuses gets nothing.

    Raises:
        ClusterRefused: the caller may not export it.
    """
    record = {
        "by": kubectl.whoami(),
        "at": rendered(now),
        "digest": str(revision["spec"]["artifacts"]["digest"]),
        "reason": reason,
    }
    known = (revision.get("exports") or {}).get("records") or ()
    if not any((one.get("by"), one.get("at")) == (record["by"], record["at"]) for one in known):
        kubectl.patch(REVISION, name_of(revision), export_patch(record), how="json")


def export_patch(record: dict[str, str]) -> list[dict[str, Any]]:
    """Return the JSON patch that appends a record of the bundle with its digest."""
    return [
        {"op": "test", "path": "/spec/artifacts/digest", "value": record["digest"]},
        {"op": "add", "path": "/exports/records/-", "value": record},
    ]
