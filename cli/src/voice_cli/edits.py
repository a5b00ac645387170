"""An edit of a VoiceModel's spec names who makes it: reviews need it, and the audit log records it."""

from voice_cli.api import REQUESTED_BY, Object
from voice_cli.kubectl import Kubectl


def edited(kubectl: Kubectl, spec: Object) -> Object:
    """Return the merge patch that changes fields of the spec, in the caller's own name."""
    return {"metadata": {"annotations": {REQUESTED_BY: kubectl.whoami()}}, "spec": spec}
