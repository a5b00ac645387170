"""Withdraws a copy from the Hub: a card that says so stays, and neither files nor the history that had them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from voice_trainer.errors import Refused, Transient
from voice_trainer.hub.copying import BRANCH, CARD, THEIRS, client, held_files, is_held, repository_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OURS = frozenset({"manifest.json", "voice.json"})  # of every copy
Cause = Literal["revoked", "deleted"]
MESSAGES: dict[Cause, str] = {"revoked": "The speaker's consent was revoked", "deleted": "The voice was deleted"}
CARDS: dict[Cause, bytes] = {
    cause: f"""---
tags: [voice-operator, withdrawn]
---

# Withdrawn

This repository had a synthetic voice. {message}: delete your copies, and do not use them.
""".encode()
    for cause, message in MESSAGES.items()
}


def withdraw_from_hub(uri: str, *, cause: Cause = "revoked", endpoint: str = "") -> bool:
    """Leave nothing of a copy but the card of the cause; return False where there is no such repository (any more).

    The history becomes one commit, and large files are deleted for good: a token that may write is enough.

    Raises:
        Refused: ``HubRefused``, as for a copy; ``NoCopy``: the repository holds something else.
        Transient: ``HubUnavailable``; ``CorruptArtifact``: the Hub still holds more.
    """
    repository = repository_of(uri)
    with client(uri, endpoint) as api:
        from huggingface_hub.errors import RepositoryNotFoundError  # noqa: PLC0415 -- as the client itself

        try:
            held = held_files(api, repository)
        except RepositoryNotFoundError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:  # 401: the Hub does not know the token
                return False
            raise
        if not (held.keys() >= OURS or any(is_held(held.get(CARD), card) for card in CARDS.values())):
            raise Refused(
                f"{uri} holds no copy of a voice (it lacks {' or '.join(sorted(OURS))}), so nothing is deleted there: "
                "look at it, and delete by hand what is to go",
                reason="NoCopy",
            )
        _withdraw(api, repository, held, cause)
        held = held_files(api, repository)
        if not is_held(held.pop(CARD, None), CARDS[cause]) or held.keys() - THEIRS:
            raise Transient(f"{uri} still holds {', '.join(sorted(held)) or 'no card'}", reason="CorruptArtifact")
    return True


def _withdraw(api: HfApi, repository: str, held: dict[str, str], cause: Cause) -> None:
    """Delete the files, then the commits that had them, then what those commits pointed to; each can be repeated."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete  # noqa: PLC0415

    gone = sorted(held.keys() - THEIRS - {CARD})
    if gone or not is_held(held.get(CARD), CARDS[cause]):
        card = CommitOperationAdd(CARD, CARDS[cause])
        deletions = [CommitOperationDelete(name) for name in gone]
        api.create_commit(repository, [card, *deletions], commit_message=MESSAGES[cause], revision=BRANCH)
    api.super_squash_history(repository, branch=BRANCH, commit_message=MESSAGES[cause])
    api.permanently_delete_lfs_files(repository, api.list_lfs_files(repository))
