"""Stages resume, and their curves average."""

from pathlib import Path

import torch
from torch import nn

from tiny_base.stage import REPORT_STEPS, Stage


def test_a_stage_that_was_killed_resumes(tmp_path: Path) -> None:
    first = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    stage = Stage("part", tmp_path, first, seconds=60.0)
    for step in stage.steps([optimizer]):
        if step == 4:
            stage.save()
            break
    again = nn.Linear(2, 2)
    resumed = Stage("part", tmp_path, again, seconds=60.0)
    assert torch.equal(again.weight, first.weight)
    assert (resumed.step, resumed.used) == (stage.step, stage.used)


def test_curves_average_seldom_logged_values_over_their_steps(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    stage = Stage("part", tmp_path, module, seconds=60.0)
    for step in stage.steps([torch.optim.SGD(module.parameters(), lr=0.1)]):
        if step == REPORT_STEPS:
            break
        stage.log(loss=torch.tensor(2.0), **({"seldom": torch.tensor(3.0)} if step % 5 == 0 else {}))
    rows = [line.split(",")[3:] for line in stage.curves.read_text().splitlines()[1:]]
    assert rows == [["loss", "2.0000"], ["seldom", "3.0000"]]
