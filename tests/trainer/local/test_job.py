"""What a training on this machine is compared with: the registry's own revision of the voice, and its other voices."""

from typing import Any

from voice_trainer.job.document import TrainingJob
from voice_trainer.local.job import compared_with

DIGEST = "sha256:" + "a" * 64


def listed(name: str, revision: str, digest: str = DIGEST) -> dict[str, Any]:
    return {"id": name, "revision": revision, "uri": f"file:///voices/{revision}", "digest": digest, "base": {}}


def test_the_listed_revision_and_the_other_voices_are_compared_with(job_document: dict[str, Any]) -> None:
    job = TrainingJob.model_validate(job_document)
    entries = {
        "studio/alice": listed("studio/alice", "alice-9d01b7e4"),
        "studio/bob": listed("studio/bob", "bob-00000000"),
        "studio/odd": listed("studio/odd", "odd-00000000", digest="none"),
    }
    found = compared_with(entries, job)
    assert found.active is not None
    assert (found.active.revision, found.active.digest) == ("alice-9d01b7e4", DIGEST)
    assert [(one.voice, one.uri) for one in found.neighbours] == [("studio/bob", "file:///voices/bob-00000000")]
    again = compared_with(entries | {"studio/alice": listed("studio/alice", job.revision)}, job)
    assert again.active is None, "the same revision is no other one"
    assert compared_with({}, job) == job
