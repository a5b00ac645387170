"""Logging: text on terminals, JSON lines in pods; each record names the object that is being reconciled."""

import logging
import sys
from contextvars import ContextVar
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from voice_operator.reconcile.names import Key
from voice_store.printable import PrintableFormatter

LogFormat = Literal["text", "json"]

current_key: ContextVar[Key | None] = ContextVar("current_key", default=None)

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_JSON = "%(asctime)s %(levelname)s %(name)s %(message)s %(exc_info)s"
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception"}


def configure(level: str, log_format: LogFormat) -> None:
    """Log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter(_JSON, rename_fields=_NAMES, datefmt="%Y-%m-%dT%H:%M:%S%z"))
        handler.addFilter(_add_key)
    else:
        handler.setFormatter(PrintableFormatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it logs each watch event of each object


def _add_key(record: logging.LogRecord) -> bool:
    """Add kind, namespace and name, as controller-runtime's logs have them."""
    key = current_key.get()
    if key is not None:
        record.controller, record.namespace, record.object = key.kind.lower(), key.namespace, key.name
    return True
