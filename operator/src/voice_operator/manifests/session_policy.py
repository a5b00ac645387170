"""What the keys of one stage Job may do in the store: an S3 policy for the prefixes of one voice, and no others."""

import json
from typing import Any

from voice_operator.api.voice_status import StageName
from voice_operator.errors import StoreError
from voice_operator.reconcile.names import voice_folder
from voice_operator.reconcile.observed import Voice
from voice_operator.settings import Settings

READ = ["s3:GetObject"]
WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
S3 = "s3://"
PATTERN_SIGNS = "*?$"  # they mean something in a policy


def session_policy(voice: Voice, stage: StageName | None, settings: Settings, region: str) -> str:
    """Return the policy as JSON: the voice's own folder is written; base, recogniser and recordings are read.

    Recordings are read to prepare alone, and the recogniser where it is used.

    Without a stage, for a copy, the voice's own folder is read, and nothing is written.

    Raises:
        StoreError: an address has a sign that would mean something else in a policy.
    """
    own = _below(voice_folder(settings.storage.uri, voice.namespace, voice.name))
    read = [] if stage is None else [settings.bases[voice.base].uri]
    read += [voice.spec.dataset.uri] if stage == "prepare" else []
    recogniser = settings.recogniser_of(voice.spec.language)
    if recogniser is not None and stage not in {None, "train"}:
        read.append(recogniser.uri)
    places = [own, *(_below(uri) for uri in read if uri.startswith(S3))]
    arn = f"arn:{_partition(region)}:s3:::"
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": READ, "Resource": [f"{arn}{place}" for place in places]},
        *([] if stage is None else [{"Effect": "Allow", "Action": WRITE, "Resource": [f"{arn}{own}"]}]),
    ]
    for bucket in sorted({place.partition("/")[0] for place in places}):
        prefixes = [place.removeprefix(f"{bucket}/") for place in places if place.startswith(f"{bucket}/")]
        condition = {"StringLike": {"s3:prefix": prefixes}}
        listing = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"{arn}{bucket}"]}
        statements.append(listing | {"Condition": condition})
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _below(uri: str) -> str:
    """Return the pattern of all objects below an address."""
    if found := sorted(set(uri) & set(PATTERN_SIGNS)):
        raise StoreError(f"{uri} has {' and '.join(found)}, which keys of its own cannot be limited to; rename it")
    return f"{uri.removeprefix(S3).strip('/')}/*"


def _partition(region: str) -> str:
    """Return the part of AWS that a region belongs to."""
    special = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in special.items() if region.startswith(prefix)), "aws")
