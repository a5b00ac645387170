"""The display: bars on a terminal, and in pods a log line now and then."""

import io
import logging

import pytest
from rich.console import Console

from voice_trainer.job.display import BarDisplay, LogDisplay
from voice_trainer.job.results import Progress


def at(percent: int, stage: str = "train") -> Progress:
    return Progress(
        stage=stage, percent=percent, epoch=2, eta_seconds=40, metrics={"mel": "1.2"}, updated_at="2026-11-28T00:00:00Z"
    )


def test_log_lines_come_at_most_every_so_many_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    moment = [0.0]
    display = LogDisplay(30, clock=lambda: moment[0])
    for percent in range(0, 101, 2):
        moment[0] = float(2 * percent)  # 200 s in all
        display.show(at(percent))
    assert [record.getMessage() for record in caplog.records] == [
        f"train: {percent} %, epoch 2, 40 s left, mel=1.2" for percent in (16, 32, 48, 64, 80, 96)
    ]


def test_a_terminal_shows_one_bar_per_stage() -> None:
    output = io.StringIO()
    with BarDisplay(Console(file=output, force_terminal=True, width=100)).live() as display:
        display.show(at(10, "features"))
        display.show(at(100, "features"))
        display.show(at(55))
    last = output.getvalue().split("features")[-1]
    assert "100%" in last
    assert "train" in last
    assert "55%" in last
    assert "mel=1.2" in last
