"""Whether an object is still what was applied: also a field that is no longer applied makes a difference."""

import hashlib
import json
from typing import Any

from voice_operator.api.schema import GROUP
from voice_operator.reconcile.diff import difference

APPLIED = f"{GROUP}/applied"  # annotation: digest of the manifest that was applied last


def with_digest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with an annotation that tells it from every other one."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {}) | {APPLIED: digest}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def unapplied(manifest: dict[str, Any], existing: dict[str, Any]) -> str | None:
    """Return a field in which ``existing`` is not what this manifest would make of it; None: there is none.

    The digest finds fields that the manifest no longer has: server-side apply removes those, a comparison alone would
    not see them. The comparison finds what somebody else changed.
    """
    compared = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind"}}  # lists lack these
    return difference(compared, existing)
