"""`sovits-core phones`: how a text is read."""

from __future__ import annotations

import argparse
import json

from sovits_core.text import LANGUAGES, phone_ids, phonemize

HELP = "print how a text is read, as JSON"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("text")
    parser.add_argument("--language", default="en", help=f"one of: {', '.join(sorted(LANGUAGES))}")
    parser.add_argument("--table", default="v2", help="symbol table for the ids: v1 or v2")


def run(options: argparse.Namespace) -> None:
    """Print one JSON object."""
    read = phonemize(options.text, options.language)
    answer = {"normalized": read.normalized, "phones": read.phones, "ids": phone_ids(read.phones, options.table)}
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 -- the command's output
