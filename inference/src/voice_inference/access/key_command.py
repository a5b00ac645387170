"""``voice-inference key new``: makes a key, prints it once, and what the server stores of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date

from pydantic import ValidationError

from voice_inference.access.api_keys import KeyEntry, digest_of, new_key
from voice_inference.errors import InvalidSettings

LIMITS = ("requests-per-minute", "concurrency", "characters-per-minute", "characters-per-day")


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``key``, by the ``add_parser`` of a parser's commands."""
    parser = add("key", help="make API keys", description="Make API keys.")
    commands = parser.add_subparsers(dest="key_command", required=True, metavar="COMMAND")
    new = commands.add_parser(
        "new",
        help="make a key",
        description="Make an API key. Standard output has the entry for the server's Secret, which is no secret; "
        "the key itself stands on standard error, once and nowhere else.",
        epilog="example: voice-inference key new --id app --voices 'studio/*' > app.json && "
        "kubectl create secret generic voice-keys --from-file=app.json",
    )
    new.add_argument("--id", required=True, help="name in logs and metrics: lower case, digits, - _ .")
    new.add_argument(
        "--voices", required=True, nargs="+", metavar="PATTERN", help="namespace/name, namespace/begin*, namespace/*"
    )
    new.add_argument("--expires", metavar="DAY", help="last day, as 2027-11-01 (UTC); default: without end")
    for limit in LIMITS:
        new.add_argument(f"--{limit}", type=int, metavar="N", help="0: none; default: the server's")


def run(flags: argparse.Namespace) -> None:
    """Make the key that the flags describe.

    Raises:
        InvalidSettings: a flag is wrong.
    """
    key = new_key()
    given = {name.replace("-", "_"): getattr(flags, name.replace("-", "_")) for name in LIMITS}
    try:
        expires = date.fromisoformat(flags.expires) if flags.expires else None
    except ValueError as error:
        raise InvalidSettings(f"--expires is {flags.expires!r}; write a day as 2027-11-01") from error
    fields = {"id": flags.id, "sha256": digest_of(key), "voices": flags.voices, "expires": expires} | given
    try:
        entry = KeyEntry.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise InvalidSettings(f"--{flag} is {first['input']!r}: {first['msg']}") from error
    print(json.dumps(entry.model_dump(mode="json", by_alias=True, exclude_unset=True), indent=1))  # noqa: T201
    print(f"the key of {entry.id}, shown this once:\n{key}", file=sys.stderr)  # noqa: T201
