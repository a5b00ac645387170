"""``voice-trainer copy`` and ``withdraw``: a published bundle to the Hugging Face Hub, and from it."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from voice_store import BundleCache, BundleKind, DigestMismatch, FolderStore, InvalidIndex, NotFound, Store, open_store
from voice_trainer.errors import BadData
from voice_trainer.hub.card import model_card
from voice_trainer.hub.copying import copy_to_hub, repository_of
from voice_trainer.hub.withdrawing import MESSAGES, withdraw_from_hub
from voice_trainer.job.bundle import BUNDLE_SCHEMA
from voice_trainer.job.process import Process
from voice_trainer.job.workspace import MANIFEST

MANIFEST_LIMIT = 1024 * 1024  # bytes
WHOLE_VOICE = BundleKind(
    name="voices",
    index=MANIFEST,
    schema=BUNDLE_SCHEMA,
    choose=lambda manifest: json.loads(manifest)["files"],
    size_limit=1024 * 1024 * 1024,
    index_limit=MANIFEST_LIMIT,
    files_limit=1000,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a published voice: a folder, file:///… or s3://…")
    parser.add_argument("target", metavar="hf://OWNER/NAME", help="the repository; a new one is private")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--digest", default="", help="sha256:…, of the bundle's manifest: no other one is copied")
    add_endpoint(parser)


def add_withdraw_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of the way back."""
    parser.add_argument("target", metavar="hf://OWNER/NAME", help="the repository, which keeps a card that says so")
    parser.add_argument(
        "--cause", choices=sorted(MESSAGES), default="revoked", help="what the card says (default: revoked)"
    )
    add_endpoint(parser)


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Describe which Hub it is."""
    parser.add_argument("--endpoint", default="", help="address of the Hub (default: HF_ENDPOINT, else huggingface.co)")


def withdraw(options: argparse.Namespace, _: Process) -> int:
    """Withdraw a copy and say so.

    Raises:
        UsageError: the target is no repository.
        Refused, Transient: of the Hub.
    """
    was_there = withdraw_from_hub(options.target, cause=options.cause, endpoint=options.endpoint)
    sys.stdout.write(f"{options.target} {'is withdrawn' if was_there else 'is not there'}\n")
    return 0


def copy(options: argparse.Namespace, process: Process) -> int:
    """Copy the bundle and say where it is.

    Raises:
        UsageError: the target is no repository.
        BadData: ``InvalidBundle``; there is no whole bundle.
        Refused, Transient: of the Hub; StoreError: of the object store.
    """
    repository_of(options.target)
    is_uri = options.bundle.startswith(("s3://", "file:///"))
    store = open_store(options.bundle) if is_uri else FolderStore(Path(options.bundle).absolute())
    folder, voice, digest = fetch_bundle(store, process.scratch)
    if options.digest not in {"", digest}:
        raise BadData(f"{store.uri} is {digest}, and {options.digest} is to be copied", reason="OtherBundle")
    if voice["consent"].get("revoked"):
        raise BadData(f"{store.uri}: its consent is revoked, so it is not copied", reason="ConsentRevoked")
    done = copy_to_hub(
        folder, model_card(voice, digest), options.target, endpoint=options.endpoint, private=not options.public
    )
    sys.stdout.write(f"{done.uri} {done.commit or 'held this already'}\n")
    return 0


def fetch_bundle(store: Store, scratch: Path) -> tuple[Path, dict[str, Any], str]:
    """Fetch all files that a bundle's manifest names, each checked by its digest.

    Returns:
        the folder, ``voice.json`` and the bundle's digest.

    Raises:
        BadData: ``InvalidBundle``; there is none, or a file is missing or another.
    """
    try:
        digest = f"sha256:{hashlib.sha256(store.read(MANIFEST, limit=MANIFEST_LIMIT)).hexdigest()}"
        folder = BundleCache(scratch).fetch(WHOLE_VOICE, lambda: store, digest)
        voice = json.loads((folder / "voice.json").read_bytes())
        model_card(voice, digest)  # has all that a card needs
    except (NotFound, InvalidIndex, DigestMismatch) as error:
        raise _invalid(store, str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise _invalid(store, f"its voice.json is none ({error!r})") from error
    return folder, voice, digest


def _invalid(store: Store, what: str) -> BadData:
    return BadData(f"{store.uri} is no published voice: {what}", reason="InvalidBundle")
