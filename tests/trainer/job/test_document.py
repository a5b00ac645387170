"""The job document: what is accepted, and the sentence for what is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_trainer.errors import UsageError
from voice_trainer.job.document import read_job


def test_a_job_reads_decimal_strings_and_dates(write_job: Callable[[], Path]) -> None:
    job = read_job(write_job())
    assert job.training.learning_rate == 2e-4
    assert str(job.consent and job.consent.expires) == "2999-01-01"
    assert job.evaluation.gates is None


def test_fields_of_a_newer_operator_are_ignored(write_job: Callable[[], Path], job_document: dict[str, Any]) -> None:
    job_document["novelty"] = {"x": 1}
    job_document["training"]["novelty"] = 1
    assert read_job(write_job()).revision == "alice-3fa9c2d1"


@pytest.mark.parametrize(
    ("asked", "divisor", "used"),
    [(8, 1, 8), (8, 2, 4), (8, 4, 2), (2, 8, 1)],
)
def test_batches_shrink_after_running_out_of_memory(
    write_job: Callable[[], Path], job_document: dict[str, Any], asked: int, divisor: int, used: int
) -> None:
    job_document["training"]["batchSize"] = asked
    job_document["attempt"]["batchSizeDivisor"] = divisor
    assert read_job(write_job()).micro_batch_size == used


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (("schema",), "voice.sovits.dev/job/v9", ("schema: ", "(found 'voice.sovits.dev/job/v9')")),
        (("inputHash",), "short", ("inputHash: ", "(found 'short')")),
        (("training", "epochs"), 0, ("training.epochs: ", "(found 0)")),
        (("training", "learningRate"), "fast", ("training.learningRate: ", "(found 'fast')")),
        (("training", "method"), "DPO", ("training.method: ", "(found 'DPO')")),
        (("voice", "name"), "../evil", ("voice.name: ", "(found '../evil')")),
        (("revision",), "a/b", ("revision: ", "(found 'a/b')")),
        (("dataset", "digest"), "md5:1", ("dataset.digest: ", "(found 'md5:1')")),
        (("consent", "expires"), "tomorrow", ("consent.expires: ", "(found 'tomorrow')")),
        (("evaluation", "texts"), [""], ("evaluation.texts.0: ", "(found '')")),
        (("evaluation", "gates"), [{"metric": "pesq", "min": "high"}], ("evaluation.gates.0.min: ", "(found 'high')")),
    ],
)
def test_a_wrong_field_is_named_with_its_value(
    write_job: Callable[[], Path],
    job_document: dict[str, Any],
    path: tuple[str, ...],
    value: object,
    parts: tuple[str, str],
) -> None:
    place = job_document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(UsageError) as caught:
        read_job(write_job())
    assert all(part in str(caught.value) for part in parts)


def test_a_missing_field_is_named(write_job: Callable[[], Path], job_document: dict[str, Any]) -> None:
    del job_document["store"]
    with pytest.raises(UsageError, match="store: Field required"):
        read_job(write_job())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", json.dumps("x"), "\xff"])
def test_what_is_no_document_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"job\.json"):
        read_job(tmp_path / "job.json")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_job(tmp_path / "job.json")
