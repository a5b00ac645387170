"""The job document of a voice on this machine: what the operator writes in a cluster, from a command line."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sovits_core.bundle.base import EMBEDDED
from sovits_core.text import LANGUAGES
from sovits_core.text.versions import VERSIONS as TEXT
from sovits_core.validation import sentences
from voice_store import FolderStore
from voice_trainer.errors import UsageError
from voice_trainer.job.algorithm import EVALUATION, TRAINING
from voice_trainer.job.base import JobBase
from voice_trainer.job.document import JOB_SCHEMA, ActiveRevision, Document, Neighbour, TrainingJob
from voice_trainer.job.results import digest_of
from voice_trainer.local.registry import Registry
from voice_trainer.recognition.command import folder_uri
from voice_trainer.recognition.folder import read_folder

INPUT_SCHEMA = "voice.sovits.dev/local-input/v1"
FIRST_DIGITS = 8  # of the input hash, in a revision's name
MOST_NEIGHBOURS = 64  # each costs a measurement
Read = TypeVar("Read", bound=Document)

# What nobody can guess, and why it is asked for.
ASKED = {
    "out": "the folder for trained voices; several share one",
    "voice": "the voice's name, in lower case: alice",
    "language": f"the language of the recordings: {', '.join(sorted(LANGUAGES))}",
    "holder": "the person whose voice it is",
    "statement": 'what this person agreed to: "My recordings may be used to train a voice on this machine."',
}
FLAGS = {  # of what the job document checks
    "voice.name": "--voice",
    "voice.namespace": "--namespace",
    "language": "--language",
    "locale": "--locale",
    "consent.expires": "--expires",
    "dataset.maxRejected": "--max-rejected",
    "training.rank": "--rank",
    "training.epochs": "--epochs",
    "training.batchSize": "--batch-size",
    "training.learningRate": "--learning-rate",
    "training.seed": "--seed",
    "evaluation.texts": "--text",
}


def require_options(options: argparse.Namespace) -> None:
    """Check that everything is given that nobody can guess.

    Raises:
        UsageError: ``OptionMissing``; the message has all that are.
    """
    missing = [f"--{name} is missing: {meaning}" for name, meaning in ASKED.items() if not getattr(options, name)]
    if missing:
        raise UsageError("; ".join(missing), reason="OptionMissing")


def local_job(options: argparse.Namespace, registry: Registry, scratch: Path) -> TrainingJob:
    """Return the job of the given options; the recordings are read once, to know whether they are the same.

    Raises:
        UsageError: an option has a value that cannot be.
        BaseRejected: there is no such base.
        Refused: the recogniser is no Whisper folder.
    """
    if options.language not in LANGUAGES:
        raise UsageError(f"--language is {options.language!r}; use one of {', '.join(sorted(LANGUAGES))}")
    if not options.folder.is_dir():
        state = "is a file" if options.folder.exists() else "does not exist"
        raise UsageError(f"FOLDER: {options.folder} {state}; name a folder with recordings and their texts")
    recordings = FolderStore(options.folder.absolute())
    base = JobBase(base_uri(options.base), "", scratch)
    evaluation = {"texts": options.text, "gates": [] if options.no_gates else None}
    recogniser = _recogniser(options.recogniser, scratch)
    document = {
        "schema": JOB_SCHEMA,
        "voice": {"namespace": options.namespace, "name": options.voice},
        "revision": "unnamed",
        "inputHash": "0" * 64,
        "evaluationHash": _hash({**evaluation, **_digest_of(recogniser), "algorithm": EVALUATION}),
        "algorithm": {"training": TRAINING, "text": TEXT.get(options.language), "evaluation": EVALUATION},
        "language": options.language,
        "locale": options.locale,
        "dataset": {"uri": recordings.uri, "denoise": options.denoise, "maxRejected": options.max_rejected},
        "consent": {"holder": options.holder, "statement": options.statement, "expires": options.expires},
        "base": {"name": base.document.name, "uri": base_uri(options.base), "digest": base.digest},
        "recogniser": recogniser,
        "training": {
            "rank": options.rank,
            "epochs": options.epochs,
            "batchSize": options.batch_size,
            "learningRate": options.learning_rate,
            "seed": options.seed,
        },
        "evaluation": evaluation,
        "store": {"workspace": "", "revision": ""},
        "compute": {"device": options.device},
    }
    try:
        unnamed = TrainingJob.model_validate(document)
    except ValidationError as error:
        raise UsageError("; ".join(_with_flag(sentence) for sentence in sentences(error))) from error
    input_hash = _input_hash(unnamed, _content_of(recordings))
    folder, revision = (options.namespace, options.voice), f"{options.voice}-{input_hash[:FIRST_DIGITS]}"
    store = {
        "workspace": registry.uri(*folder, input_hash),
        "revision": registry.uri(*folder, "revisions", revision),
    }
    return TrainingJob.model_validate(document | {"inputHash": input_hash, "revision": revision, "store": store})


def compared_with(listed: Mapping[str, dict[str, Any]], job: TrainingJob) -> TrainingJob:
    """Return the job with what is listed now, for its report: the voice's own revision, and the other voices.

    The same revision is no other one; entries that servers would refuse are left out.
    """
    name = f"{job.voice.namespace}/{job.voice.name}"
    own = listed.get(name, {})
    active = None if own.get("revision") == job.revision else _read_or_none(ActiveRevision, own)
    others = [
        _read_or_none(Neighbour, entry | {"voice": other}) for other, entry in sorted(listed.items()) if other != name
    ]
    neighbours = tuple(one for one in others if one is not None)[:MOST_NEIGHBOURS]
    return job.model_copy(update={"active": active, "neighbours": neighbours})


def _read_or_none(kind: type[Read], entry: dict[str, Any]) -> Read | None:
    try:
        return kind.model_validate(entry)
    except ValidationError:
        return None


def base_uri(given: str) -> str:
    """Return the address of a base: as it was given, or of the folder that was."""
    return given if given.startswith((EMBEDDED, "s3://", "file:///")) else FolderStore(Path(given).absolute()).uri


def _recogniser(given: str, scratch: Path) -> dict[str, str] | None:
    """Return the recogniser that was given, pinned to what it is now."""
    if not given:
        return None
    uri = folder_uri(given)
    return {"uri": uri, "digest": read_folder(uri, scratch).digest}


def _digest_of(recogniser: dict[str, str] | None) -> dict[str, str]:
    return {"recogniser": recogniser["digest"]} if recogniser else {}


def _input_hash(job: TrainingJob, recordings: str) -> str:
    """Return what names a training: settings count where they differ from their default, as in a cluster."""
    return _hash(
        {
            "schema": INPUT_SCHEMA,
            "language": job.language,
            **({"locale": job.locale} if job.locale else {}),
            "recordings": recordings,
            "base": job.base.digest,
            "training": job.training.model_dump(mode="json", exclude_defaults=True),
            "denoise": job.dataset.denoise,
            "algorithm": [job.algorithm.training, job.algorithm.text],
        }
    )


def _content_of(recordings: FolderStore) -> str:
    """Return a digest of names and contents; dates of files do not count."""
    files = ((entry.key, recordings.root / entry.key) for entry in recordings.entries())
    return _hash([[key, digest_of(path).sha256] for key, path in files])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _with_flag(sentence: str) -> str:
    field, _, rest = sentence.partition(": ")
    known = next((flag for name, flag in FLAGS.items() if field == name or field.startswith(f"{name}.")), field)
    return f"{known}: {rest}"
