"""Receipts: with its attempt's key a stage proves which manifest it wrote, and from which manifests of other stages."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from sovits_core.validation import one_line
from voice_trainer.errors import UsageError
from voice_trainer.job.document import Document, TrainingJob

RECEIPT_SCHEMA = "voice.sovits.dev/receipt/v1"
RESULT_SCHEMA = "voice.sovits.dev/result/v1"
KEYS_LIMIT = 256 * 1024  # bytes; a line for each attempt


class AttemptKeys(Document):
    """The keys of this attempt and of those before it, by their number."""

    schema_: Literal["voice.sovits.dev/attempt-keys/v1"] = Field(alias="schema")
    keys: dict[int, str] = Field(min_length=1)


class Prover:
    """Signs for one attempt, and checks what earlier attempts of the same stages signed."""

    def __init__(self, job: str, attempt: int, input_hash: str, keys: Mapping[int, bytes]) -> None:
        self._job = job
        self._attempt = attempt
        self._input_hash = input_hash
        self._keys = keys

    def receipt(self, stage: str, manifest: str, inputs: Mapping[str, str]) -> bytes:
        """Return the receipt of a manifest that this attempt wrote; ``inputs`` are the manifests that were read."""
        named = {"stage": stage, "inputHash": self._input_hash, "manifest": manifest, "inputs": dict(inputs)}
        return self._tagged({"schema": RECEIPT_SCHEMA} | named)

    def result(self, manifests: Mapping[str, str]) -> bytes:
        """Return the termination message of an attempt that succeeded: the manifests of its stages."""
        return self._tagged({"schema": RESULT_SCHEMA, "inputHash": self._input_hash, "manifests": dict(manifests)})

    def tag(self, content: str) -> str:
        """Return what proves a content that only later attempts of this stage read, such as a checkpoint."""
        return f"{self._attempt}:{_tag({'content': content}, self._keys[self._attempt])}"

    def is_own(self, content: str, tag: str) -> bool:
        """Return whether an attempt of this stage gave the content this tag."""
        number, _, _ = tag.partition(":")
        key = self._keys.get(int(number)) if number.isdecimal() else None
        expected = "" if key is None else f"{number}:{_tag({'content': content}, key)}"
        return key is not None and hmac.compare_digest(tag.encode(), expected.encode())

    def problem(self, stage: str, manifest: str, receipt: bytes | None, known: Mapping[str, str]) -> str:
        """Return why a manifest is not proved, as the end of a sentence; empty: it is.

        ``known`` are the digests of the other stages' manifests, as far as they are known.
        """
        if receipt is None:
            return "has no receipt"
        try:
            document: Any = json.loads(receipt)
        except ValueError:
            document = None
        if not isinstance(document, dict) or document.get("schema") != RECEIPT_SCHEMA:
            return f"has a receipt that is no {RECEIPT_SCHEMA}"
        if not self._is_ours(document):
            return "has a receipt that no attempt of this stage wrote"
        expected = (stage, self._input_hash, manifest)
        if (document.get("stage"), document.get("inputHash"), document.get("manifest")) != expected:
            return "is not the one of its receipt"
        inputs = document.get("inputs") or {}
        changed = [name for name, digest in inputs.items() if known.get(name, digest) != digest]
        return f"was made from another result of stage {changed[0]}" if changed else ""

    def _is_ours(self, document: dict[str, Any]) -> bool:
        attempt = document.get("attempt")
        key = self._keys.get(attempt) if isinstance(attempt, int) else None
        tag = str(document.get("tag", "")).encode()
        return key is not None and hmac.compare_digest(tag, _tag(document, key).encode())

    def _tagged(self, document: dict[str, Any]) -> bytes:
        document = document | {"job": self._job, "attempt": self._attempt}
        return _canonical(document | {"tag": _tag(document, self._keys[self._attempt])}) + b"\n"


def open_prover(job: TrainingJob) -> Prover | None:
    """Return what signs for the job's attempt; None: the job asks for no receipts.

    Raises:
        UsageError: the file with the keys is missing, or not what it must be.
    """
    receipts, attempt = job.receipts, job.attempt.number
    if receipts is None:
        return None
    path = Path(receipts.keys)
    try:
        with path.open("rb") as source:
            found = AttemptKeys.model_validate_json(source.read(KEYS_LIMIT))
        keys = {number: bytes.fromhex(key) for number, key in found.keys.items()}
    except OSError as error:
        raise UsageError(f"receipts.keys: {path}: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(f"receipts.keys: {path}: {one_line(error)}") from error
    except ValueError as error:
        raise UsageError(f"receipts.keys: {path}: a key is not written in hex digits") from error
    if attempt not in keys:
        raise UsageError(f"receipts.keys: {path} has no key for attempt {attempt}; make the Job anew")
    return Prover(receipts.job, attempt, job.input_hash, keys)


def digest_of_bytes(data: bytes) -> str:
    """Return ``sha256:<64 hex>``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _tag(document: Mapping[str, Any], key: bytes) -> str:
    untagged = {name: value for name, value in document.items() if name != "tag"}
    return hmac.new(key, _canonical(untagged), hashlib.sha256).hexdigest()


def _canonical(document: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a document: sorted names, no blanks, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
