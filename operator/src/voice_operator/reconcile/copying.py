"""The copy of what is served on the Hub: what is wanted, what is being done for it, and what became of it."""

from voice_operator.api.voice_status import HubCopy
from voice_operator.reconcile.effects import CopyToHub, DeleteJob
from voice_operator.reconcile.hashing import digest_of
from voice_operator.reconcile.view import View

COMPONENT = "copy"
NAME_DIGITS = 8
NOT_ALLOWED = "this installation copies no voices to the Hub (chart value hub.tokenSecret)"


def wanted_copy(view: View) -> CopyToHub | None:
    """Return the copy that the spec asks for: of the revision that is served, never of one that people must approve.

    The Job's name follows from bundle and repository, so that each copy is made once, and again where either changes.
    """
    hub, target = view.observed.voice.spec.publish.hub, view.target
    if not hub.repository or target is None or view.serving is None or not view.serving.loaded:
        return None
    digits = digest_of([target.digest, hub.repository])[:NAME_DIGITS]
    return CopyToHub(f"{target.name}-{COMPONENT}-{digits}", target, hub.repository, hub.public)


def due_copies(view: View) -> tuple[CopyToHub, ...]:
    """Return the copy to start; a failed one is tried again once its Job is gone, an hour after its end."""
    voice, wanted = view.observed.voice, wanted_copy(view)
    if wanted is None or not voice.may_be_copied or voice.spec.suspend or _is_recorded(view, wanted):
        return ()
    return () if any(copy.name == wanted.name for copy in view.observed.copies) else (wanted,)


def obsolete_copies(view: View) -> tuple[DeleteJob, ...]:
    """Return the copies to stop: of a consent that was revoked, of another bundle, to another repository."""
    wanted = wanted_copy(view)
    running = (copy.name for copy in view.observed.copies if copy.state == "Copying")
    return tuple(DeleteJob(name) for name in running if wanted is None or name != wanted.name)


def copy_status(view: View) -> HubCopy | None:
    """Return what the status says; while nothing is served it goes on telling what the repository holds."""
    voice, wanted = view.observed.voice, wanted_copy(view)
    if not voice.spec.publish.hub.repository:
        return None
    if wanted is None or _is_recorded(view, wanted):
        return voice.status.hub_copy

    revision, before = wanted.revision, voice.status.hub_copy
    copying = HubCopy(repository=wanted.repository, revision=revision.name, digest=revision.digest, state="Copying")
    if not voice.may_be_copied:
        return copying.model_copy(update={"state": "Refused", "message": NOT_ALLOWED})
    job = next((copy for copy in view.observed.copies if copy.name == wanted.name), None)
    if job is not None:
        return copying.model_copy(update={"state": job.state, "message": job.message[:4096]})
    failed = before is not None and before.state == "Failed" and _is_about(before, wanted)
    return before if failed else copying


def _is_recorded(view: View, wanted: CopyToHub) -> bool:
    recorded = view.observed.voice.status.hub_copy
    return recorded is not None and recorded.state == "Copied" and _is_about(recorded, wanted)


def _is_about(copy: HubCopy, wanted: CopyToHub) -> bool:
    return (copy.repository, copy.digest) == (wanted.repository, wanted.revision.digest)
