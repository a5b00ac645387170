"""Exit codes: each kind of error ends in the exit code that the operator acts on."""

import json
from pathlib import Path

import pytest

import voice_store
from sovits_core import errors as model_errors
from voice_trainer import errors
from voice_trainer.job.exit_codes import failure_of, write_termination_message
from voice_trainer.job.results import Failure, to_json


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.UsageError("x"), 64, "InvalidJob"),
        (errors.BadData("x", reason="TooLittleSpeech"), 65, "TooLittleSpeech"),
        (errors.BadDataset([("DuplicateId", "x"), ("EmptyTranscript", "y")]), 65, "DuplicateId"),
        (model_errors.TextRejected("x"), 65, "TextRejected"),
        (voice_store.NotFound("x"), 65, "NotFound"),
        (voice_store.StoreUnavailable("x"), 75, "StoreUnavailable"),
        (errors.Transient("x", reason="FfmpegFailed"), 75, "FfmpegFailed"),
        (ZeroDivisionError("x"), 75, "InternalError"),
        (errors.Refused("x", reason="ConsentRevoked"), 78, "ConsentRevoked"),
        (voice_store.AccessDenied("x"), 78, "AccessDenied"),
        (model_errors.BaseRejected("x"), 78, "BaseRejected"),
        (errors.Interrupted(), 143, "Interrupted"),
        (KeyboardInterrupt(), 143, "Interrupted"),
    ],
)
def test_exit_codes(error: BaseException, code: int, reason: str) -> None:
    failure = failure_of(error, "train")
    assert (failure.exit_code, failure.reason, failure.stage) == (code, reason, "train")
    assert failure.message


def test_a_gpu_without_memory_has_a_code_of_its_own() -> None:
    import torch  # noqa: PLC0415 -- exit_codes must know torch's error without importing torch

    assert failure_of(torch.OutOfMemoryError("CUDA out of memory"), "train").exit_code == 90


def test_only_ten_problems_are_told_and_the_others_counted() -> None:
    message = str(errors.BadDataset([("EmptyTranscript", f"line {n}") for n in range(14)]))
    assert message.startswith("14 problems in the dataset: line 0 [EmptyTranscript]; ")
    assert "line 9 [" in message
    assert "line 10" not in message
    assert message.endswith("… and 4 more")


def test_the_termination_message_is_one_line_that_the_kubelet_keeps(tmp_path: Path) -> None:
    failure = failure_of(errors.BadData("ö\n" * 5000), "prepare")
    write_termination_message(to_json(failure), tmp_path / "log")
    line = (tmp_path / "log").read_bytes()
    assert len(line) <= 4096
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert document["schema"] == "voice.sovits.dev/failure/v1"
    assert document["exitCode"] == 65
    assert Failure.model_validate(document) == failure


def test_an_unwritable_termination_log_does_not_hide_the_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_termination_message(to_json(failure_of(errors.BadData("x"), "")), tmp_path)
    assert "no termination message" in caplog.text
