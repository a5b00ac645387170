"""Checkpoints: a training goes on where it was, and from nothing that is another's, damaged or cut."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sovits_core.bundle.base import open_base
from sovits_core.bundle.strategies import Finetuning
from sovits_core.formats.adapters import attach_adapter
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from voice_store import FolderStore
from voice_trainer.training.checkpoint import KEY, restore_checkpoint, save_checkpoint
from voice_trainer.training.course import Course
from voice_trainer.training.finetune import Finetuner, LearningRates
from voice_trainer.training.precision import Precision

CPU = torch.device("cpu")
IDENTITY = {"inputHash": "1"}


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    (tmp_path / "scratch").mkdir()
    return SimpleNamespace(
        store=FolderStore(tmp_path / "store"),
        scratch=tmp_path / "scratch",
        tag=lambda content: content[:8],
        is_own=lambda content, tag: tag == content[:8],
    )


@pytest.fixture
def finetuner(random_base: Path) -> Callable[[str], Finetuner]:
    def make(precision: str = "fp32") -> Finetuner:
        document = open_base(random_base.as_uri()).document
        torch.manual_seed(0)
        networks = Networks(TextToSemantic(document.s1), Synthesizer(document.synthesizer))
        model = attach_adapter(networks, 2, ("attention",), seed=1)
        return Finetuner(model, networks, LearningRates(1e-2, 1e-2), Finetuning(), Precision(precision, CPU))

    return make


def stepped(finetuner: Finetuner, steps: int) -> Finetuner:
    for _ in range(steps):
        for parameter in finetuner.parameters.values():
            parameter.grad = torch.ones_like(parameter)
        finetuner.optimizer.step()
    return finetuner


ROW = (1.0, 2.0, 3.0, 4.0)


def test_a_course_comes_back_whole(workspace: Any, finetuner: Callable[..., Finetuner]) -> None:
    trained = stepped(finetuner(), 2)
    course = Course(curves=[ROW, ROW], seconds=12.5)
    course.note_epoch(7.0, trained.parameters)
    stepped(trained, 0)
    save_checkpoint(workspace, trained, IDENTITY, course)
    fresh = finetuner()
    found = restore_checkpoint(workspace, fresh, IDENTITY)
    assert (found.curves, found.aside, found.seconds) == (course.curves, course.aside, course.seconds)
    for name, value in trained.parameters.items():
        assert torch.equal(fresh.parameters[name], value)
        assert torch.equal(found.best[name], course.best[name])
    stepped(trained, 1)
    stepped(fresh, 1)
    assert all(torch.equal(fresh.parameters[name], value) for name, value in trained.parameters.items())


def test_the_scale_of_fp16s_gradients_goes_on(workspace: Any, finetuner: Callable[..., Finetuner]) -> None:
    trained = stepped(finetuner("fp16"), 1)
    trained.precision.scaler.load_state_dict(trained.precision.scaler.state_dict() | {"scale": 2.0})
    save_checkpoint(workspace, trained, IDENTITY, Course(curves=[ROW, ROW]))  # one of two steps was left out
    fresh = finetuner("fp16")
    assert restore_checkpoint(workspace, fresh, IDENTITY).curves == [ROW, ROW]
    assert fresh.precision.scaler.get_scale() == 2.0


def test_a_course_goes_on_with_another_precision(workspace: Any, finetuner: Callable[..., Finetuner]) -> None:
    trained = stepped(finetuner(), 2)
    save_checkpoint(workspace, trained, IDENTITY, Course(curves=[ROW, ROW]))
    fresh = finetuner("fp16")
    assert restore_checkpoint(workspace, fresh, IDENTITY).curves == [ROW, ROW]
    assert all(torch.equal(fresh.parameters[name], value) for name, value in trained.parameters.items())


def rewritten(path: Path, *, tensor: str = "", metadata: dict[str, str] | None = None) -> None:
    with safe_open(path, framework="pt") as file:
        found = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- safe_open is no dict
    if tensor:
        tensors[next(key for key in tensors if key.startswith(tensor))].view(-1)[0] += 1
    save_file(tensors, path, metadata=found | (metadata or {}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: rewritten(path, tensor="value/"), "its digest is not that of its content"),
        (lambda path: rewritten(path, metadata={"seconds": "0"}), "its digest is not that of its content"),
        (lambda path: rewritten(path, metadata={"tag": "forged"}), "no attempt of this stage wrote the checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "the checkpoint is damaged"),
        (lambda path: path.write_bytes(b""), "the checkpoint is damaged"),
    ],
    ids=["another value", "other metadata", "a forged tag", "cut", "empty"],
)
def test_what_is_not_whole_is_told_and_not_used(  # noqa: PLR0917
    workspace: Any,
    finetuner: Callable[..., Finetuner],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    said: str,
) -> None:
    save_checkpoint(workspace, stepped(finetuner(), 1), IDENTITY, Course(curves=[ROW]))
    spoil(tmp_path / "store" / KEY)
    fresh = finetuner()
    before = {name: value.detach().clone() for name, value in fresh.parameters.items()}
    assert restore_checkpoint(workspace, fresh, IDENTITY) == Course()
    assert said in caplog.text
    assert all(torch.equal(fresh.parameters[name], value) for name, value in before.items())


def test_curves_of_another_number_of_steps_are_not_used(
    workspace: Any, finetuner: Callable[..., Finetuner], caplog: pytest.LogCaptureFixture
) -> None:
    save_checkpoint(workspace, stepped(finetuner(), 1), IDENTITY, Course(curves=[ROW, ROW]))
    assert restore_checkpoint(workspace, finetuner(), IDENTITY) == Course()
    assert "its optimiser has done [1] steps, and its curves have 2" in caplog.text


def test_another_trainings_checkpoint_is_left_alone(workspace: Any, finetuner: Callable[..., Finetuner]) -> None:
    save_checkpoint(workspace, stepped(finetuner(), 1), IDENTITY, Course(curves=[ROW]))
    assert restore_checkpoint(workspace, finetuner(), {"inputHash": "2"}) == Course()
