"""What the server logs to standard error: text on terminals, a JSON object a line in pods."""

from __future__ import annotations

import logging
import sys
from typing import Final, Literal

from pythonjsonlogger.json import JsonFormatter

from voice_store.printable import PrintableFormatter

LogFormat = Literal["text", "json"]

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JSON: Final = "%(asctime)s %(levelname)s %(name)s %(message)s %(exc_info)s"
_NAMES: Final = {
    "asctime": "time",
    "levelname": "level",
    "name": "logger",
    "exc_info": "exception",
}  # as the operator's


def configure(level: str, form: LogFormat) -> None:
    """Log messages of this level, and of worse ones."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter(_JSON, rename_fields=_NAMES, datefmt="%Y-%m-%dT%H:%M:%S%z"))
    else:
        handler.setFormatter(PrintableFormatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
