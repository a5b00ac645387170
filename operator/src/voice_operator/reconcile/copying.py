"""The copy of what is served on the Hub: what is wanted there, what is being done for it, and what became of it."""

from typing import Literal

from voice_operator.api.voice_status import HubCopy
from voice_operator.reconcile.effects import CopyToHub, DeleteJob, WithdrawFromHub
from voice_operator.reconcile.hashing import digest_of
from voice_operator.reconcile.view import View

COMPONENT = "copy"
NAME_DIGITS = 8
NOT_ALLOWED = "this installation copies no voices to the Hub (chart value hub.tokenSecret)"
STILL_THERE = f"the consent was revoked, but {NOT_ALLOWED}: delete the repository by hand"
WITHDRAWAL: dict[str, Literal["Withdrawing", "Withdrawn", "Failed"]] = {
    "Running": "Withdrawing",
    "Deleting": "Withdrawing",
    "Succeeded": "Withdrawn",
    "Failed": "Failed",
}
NOT_COPIED: dict[str, str] = {"Failed": "CopyFailed", "Refused": "CopyRefused"}  # reasons, by state
COPY: dict[str, Literal["Copying", "Copied", "Failed"]] = {
    "Running": "Copying",
    "Deleting": "Copying",
    "Succeeded": "Copied",
    "Failed": "Failed",
}


def wanted_copy(view: View) -> CopyToHub | None:
    """Return the copy that the spec asks for: of the revision that is served, never of one that people must approve.

    The Job's name follows from bundle and repository, so that each copy is made once, and again where either changes
    or it was withdrawn.
    """
    hub, target = view.observed.voice.spec.publish.hub, view.target
    if not hub.repository or target is None or view.serving is None or not view.serving.loaded:
        return None
    withdrawals = _withdrawals(view)
    digits = digest_of([target.digest, hub.repository, *([str(withdrawals)] if withdrawals else [])])[:NAME_DIGITS]
    return CopyToHub(f"{target.name}-{COMPONENT}-{digits}", target, hub.repository, hub.public)


def wanted_withdrawal(view: View) -> WithdrawFromHub | None:
    """Return what a revocation asks for, where something was copied, or may have been."""
    voice, known = view.observed.voice, view.observed.voice.status.hub_copy
    revoked = view.consent is not None and view.consent.reason == "ConsentRevoked"
    if not revoked or known is None or known.state in {"Refused", "Withdrawn"}:
        return None
    digits = digest_of([known.repository, str(known.withdrawals)])[:NAME_DIGITS]
    return WithdrawFromHub(f"{voice.name}-withdraw-{digits}", known.repository)


def withdrawal_of(voice: str, repository: str, *, uid: str) -> WithdrawFromHub:
    """Return how the copy of a VoiceModel that is deleted is withdrawn; ``voice`` is its name."""
    digits = digest_of([repository, uid])[:NAME_DIGITS]
    return WithdrawFromHub(f"{voice}-withdraw-{digits}", repository, deleted=True)


def due_copies(view: View) -> tuple[CopyToHub | WithdrawFromHub, ...]:
    """Return what to start; what failed is tried again once its Job is gone, an hour after its end.

    Nothing is withdrawn while a copy may still be written, and nothing copied before the status says so: the copy of a
    voice that is deleted meanwhile must be known.
    """
    voice, copies = view.observed.voice, view.observed.copies
    withdrawal, wanted = wanted_withdrawal(view), wanted_copy(view)
    due: CopyToHub | WithdrawFromHub | None = None
    if withdrawal is not None:
        busy = any(copy.state in {"Running", "Deleting"} for copy in copies)
        due = None if busy else withdrawal
    elif wanted is not None and not voice.spec.suspend and _is_begun(view, wanted) and not _must_wait(view, wanted):
        due = wanted
    if due is None or not voice.may_be_copied or any(copy.name == due.name for copy in copies):
        return ()
    return (due,)


def obsolete_copies(view: View) -> tuple[DeleteJob, ...]:
    """Return the Jobs to stop: of a consent that was revoked, of another bundle, to another repository."""
    wanted = {one.name for one in (wanted_copy(view), wanted_withdrawal(view)) if one is not None}
    running = (copy.name for copy in view.observed.copies if copy.state == "Running")
    return tuple(DeleteJob(name) for name in running if name not in wanted)


def copy_status(view: View) -> HubCopy | None:
    """Return what the status says; while nothing is served it goes on telling what the repository holds."""
    voice, before, wanted = view.observed.voice, view.observed.voice.status.hub_copy, wanted_copy(view)
    withdrawal = wanted_withdrawal(view)
    if withdrawal is not None and before is not None:
        return _withdrawal_status(view, withdrawal, before)
    if wanted is None or _is_recorded(view, wanted):
        return before

    revision = wanted.revision
    copying = HubCopy(
        repository=wanted.repository,
        revision=revision.name,
        digest=revision.digest,
        state="Copying",
        withdrawals=_withdrawals(view),
    )
    if not voice.may_be_copied:
        return copying.model_copy(update={"state": "Refused", "message": NOT_ALLOWED})
    job = next((copy for copy in view.observed.copies if copy.name == wanted.name), None)
    if job is None and _must_wait(view, wanted):
        return before
    if job is not None:
        return copying.model_copy(update={"state": COPY[job.state], "message": job.message[:4096]})
    failed = before is not None and before.state == "Failed" and _is_about(before, wanted)
    return before if failed else copying


def _withdrawal_status(view: View, withdrawal: WithdrawFromHub, before: HubCopy) -> HubCopy:
    if not view.observed.voice.may_be_copied:
        return before.model_copy(update={"state": "Failed", "message": STILL_THERE})
    job = next((copy for copy in view.observed.copies if copy.name == withdrawal.name), None)
    if job is None:
        return before if before.state == "Failed" else before.model_copy(update={"state": "Withdrawing", "message": ""})
    done = before.withdrawals + (job.state == "Succeeded")
    return before.model_copy(
        update={"state": WITHDRAWAL[job.state], "message": job.message[:4096], "withdrawals": done}
    )


def _withdrawals(view: View) -> int:
    known = view.observed.voice.status.hub_copy
    return 0 if known is None else known.withdrawals


def _is_begun(view: View, wanted: CopyToHub) -> bool:
    """Return whether the status says that this copy is being made, or could not be."""
    recorded = view.observed.voice.status.hub_copy
    return recorded is not None and recorded.state in {"Copying", "Failed"} and _is_about(recorded, wanted)


def _must_wait(view: View, wanted: CopyToHub) -> bool:
    """Return whether the repository is being emptied of what a deleted voice has left there."""
    return wanted.repository in view.observed.withdrawing


def _is_recorded(view: View, wanted: CopyToHub) -> bool:
    """Return whether it is there; of a restored status nobody knows: the copy went with the earlier VoiceModel."""
    status, uid = view.observed.voice.status, view.observed.voice.uid
    recorded = status.hub_copy if status.inputs_of in {None, uid} else None
    return recorded is not None and recorded.state == "Copied" and _is_about(recorded, wanted)


def _is_about(copy: HubCopy, wanted: CopyToHub) -> bool:
    return (copy.repository, copy.digest) == (wanted.repository, wanted.revision.digest)
