"""Whether an object is still what was applied: also a field that is no longer applied makes a difference."""

import hashlib
import json
from typing import Any

from voice_operator.api.schema import GROUP
from voice_operator.reconcile.diff import is_subset

APPLIED = f"{GROUP}/applied"  # annotation: digest of the manifest that was applied last


def with_digest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with an annotation that tells it from every other one."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {}) | {APPLIED: digest}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def is_applied(manifest: dict[str, Any], existing: dict[str, Any]) -> bool:
    """Return whether ``existing`` came from this manifest and still has all its fields.

    The digest finds fields that the manifest no longer has: server-side apply removes those, a comparison alone would
    not see them. The comparison finds what somebody else changed.
    """
    return is_subset(manifest, existing)
