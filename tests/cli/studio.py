"""An installation that commands work on: operator, S3, a node without containers, and what its stages leave."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.bucket import Bucket
from tests.faults.lab import Lab
from tests.faults.s3_proxy import S3Proxy
from tests.support.s3_server import KEYS

PREFIX = "s3://voices/datasets/{namespace}"
NUMBERS = itertools.count(1)
RESULTS_SECONDS = 120.0  # the machine may be busy


@contextmanager
def a_studio(admin: Path, s3: tuple[int, Path], folder: Path, **settings: Any) -> Iterator[Lab]:
    """Run one in a namespace of its own; ``settings`` replace those of the operator's configuration file."""
    namespace, (port, behind) = f"studio-{next(NUMBERS)}", s3
    with S3Proxy(port) as proxy:
        lab = Lab(
            admin=admin,
            namespace=namespace,
            folder=folder,
            bucket=Bucket(f"s3://voices/{namespace}", behind / "voices" / namespace),
            s3=proxy,
            environment={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}", **KEYS},
            settings=settings,
        )
        violations: list[str] = []
        try:
            lab.start()
            yield lab
        finally:
            violations = lab.close()
        assert violations == []


def jobs_of(lab: Lab) -> dict[str, set[str]]:
    """The Jobs that there are, by the voice that they work for."""
    found: dict[str, set[str]] = {}
    for job in lab.client.objects("jobs"):
        labels = job["metadata"].get("labels") or {}
        found.setdefault(labels.get("voice.sovits.dev/voice-model", ""), set()).add(job["metadata"]["name"])
    return found


def revisions_of(lab: Lab) -> dict[str, str]:
    """The revision that each voice serves."""
    items = lab.client.objects("voicemodels")
    return {one["metadata"]["name"]: str((one.get("status") or {}).get("activeRevision") or "") for one in items}
