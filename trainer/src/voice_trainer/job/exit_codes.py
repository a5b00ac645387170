"""The one place that turns errors into exit codes and the termination message."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import voice_store
from sovits_core import errors as model_errors
from voice_store.printable import printable
from voice_trainer import errors
from voice_trainer.job.results import Failure
from voice_trainer.settings import TERMINATION_LOG

logger = logging.getLogger(__name__)

OUT_OF_GPU_MEMORY = 90
INTERRUPTED = 143  # 128 + SIGTERM
MESSAGE_LIMIT = 3000  # bytes; the kubelet keeps 4096 of the whole line

# The first matching line wins, so the narrower class stands above the wider.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, 64),
    (errors.BadData, 65),
    (errors.Refused, 78),
    (errors.Transient, 75),
    (errors.Interrupted, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
    (model_errors.TextRejected, 65),
    (model_errors.SovitsError, 78),  # the base, its checkpoint or the adapter's targets
    (voice_store.Misconfigured, 78),
    (voice_store.TooLarge, 65),
    (voice_store.NotFound, 65),
    (voice_store.StoreError, 75),
    (Exception, 75),  # a defect or a full disk: attempts are bounded by retries.transient
)


def failure_of(error: BaseException, stage: str) -> Failure:
    """Return the exit code, reason and sentence of an error."""
    if is_out_of_gpu_memory(error):
        message = "the GPU ran out of memory; the next attempt takes each batch in halves"
        return Failure(stage=stage, exit_code=OUT_OF_GPU_MEMORY, reason="GpuOutOfMemory", message=message)
    code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    if isinstance(error, errors.TrainerError | errors.Interrupted):
        reason = error.reason
    elif isinstance(error, voice_store.StoreError | model_errors.SovitsError):
        reason = type(error).__name__
    else:
        reason = "Interrupted" if code == INTERRUPTED else "InternalError"
    message = str(error) or {INTERRUPTED: "interrupted by SIGTERM; the next attempt continues"}.get(code, repr(error))
    return Failure(stage=stage, exit_code=code, reason=reason, message=_shortened(message))


def write_termination_message(message: bytes, path: Path) -> None:
    """Write a line of JSON to the file that the kubelet reads; outside a pod the default one does not exist."""
    if path == TERMINATION_LOG and not path.exists():
        return
    try:
        path.write_bytes(message)
    except OSError as error:
        logger.warning("no termination message at %s: %s", path, error.strerror)


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Return whether smaller batches can help."""
    torch = sys.modules.get("torch")  # an error of torch can only come from a loaded torch
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _shortened(message: str) -> str:
    data = printable(" ".join(message.split())).encode()
    return data.decode() if len(data) <= MESSAGE_LIMIT else data[:MESSAGE_LIMIT].decode(errors="ignore") + " …"
