"""``voice-inference detect FILE``: tells whether an audio file says of itself that a machine made it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av

from voice_inference.engine import provenance
from voice_inference.engine.decoding import decode
from voice_inference.engine.notice import NOTICE
from voice_inference.engine.watermark import MARKED, RATE, Watermark
from voice_inference.errors import InvalidSettings

NOT_MARKED = 1
MAX_SECONDS = 120  # that are listened to


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``detect``, by the ``add_parser`` of a parser's commands."""
    parser = add(
        "detect",
        help="tell whether a file says that a machine made it",
        description="Print as JSON what an audio file says of its origin: its tags, and its C2PA manifest if it has "
        f"one. The exit code is 0 where one of them says that a machine made it, {NOT_MARKED} where none does. "
        "Tags are easily removed: their absence proves nothing.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="audio file in any format that FFmpeg reads")
    parser.add_argument("--watermark", type=Path, metavar="FOLDER", help="networks of the watermark to listen for")


def run(flags: argparse.Namespace) -> int:
    """Print what the file says; returns the exit code.

    Raises:
        InvalidSettings: the file cannot be read.
    """
    found = examine(flags.file, Watermark(flags.watermark) if flags.watermark else None)
    print(json.dumps(found, indent=1, ensure_ascii=False))  # noqa: T201
    return 0 if found["synthetic"] else NOT_MARKED


def examine(path: Path, watermark: Watermark | None) -> dict[str, Any]:
    """Return what a file says of its origin, and what is heard in it.

    Raises:
        InvalidSettings: it cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            tags = dict(container.metadata)
            for stream in container.streams:
                tags |= stream.metadata
            heard = None if watermark is None else watermark.score(decode(container, RATE, max_seconds=MAX_SECONDS))
        statement = provenance.statement_of(path)
    except ImportError:
        statement = None
        unread = "not looked for: voice-inference[provenance] is not installed"
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{path} cannot be read: {error}; give an audio file") from error
    else:
        unread = ""
    said = {name.lower(): value for name, value in tags.items()}
    signed = statement is not None and statement["validation"] != "Invalid"
    listened = {} if heard is None else {"watermark": round(heard, 3)}
    return {
        "synthetic": NOTICE in said.values()
        or (heard or 0.0) > MARKED
        or (signed and provenance.MADE_BY_A_MODEL in (statement or {})["sources"]),
        "tags": {name: said[name] for name in ("title", "comment") if name in said},
        "c2pa": statement or unread or None,
        **listened,
    }
