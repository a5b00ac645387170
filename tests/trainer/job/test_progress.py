"""Progress: seldom enough for the store, and never behind at the end."""

from voice_trainer.job.progress import ProgressWriter, Steps
from voice_trainer.job.results import Progress


def test_documents_come_at_most_every_two_seconds_and_always_at_the_end() -> None:
    moment = [0.0]
    put: list[Progress] = []
    writer = ProgressWriter("train", put.append, clock=lambda: moment[0])
    for done in range(1, 101):
        moment[0] = done / 8  # eight parts a second, exact in binary
        writer.report(done, 100, epoch=done // 10, metrics={"loss": 3.21049})
    assert [document.percent for document in put] == [1, 17, 33, 49, 65, 81, 97, 100]
    assert put[1].eta_seconds == 10
    assert put[-1].eta_seconds == 0
    assert put[0].metrics == {"loss": "3.21"}


def test_work_of_an_earlier_attempt_does_not_count_towards_the_pace() -> None:
    moment = [0.0]
    put: list[Progress] = []
    writer = ProgressWriter("train", put.append, clock=lambda: moment[0])
    moment[0] = 10.0
    writer.report(60, 100, already=50)
    assert put[0].eta_seconds == 40


def test_steps_of_several_loops_add_up() -> None:
    put: list[Progress] = []
    moment = [0.0]

    def clock() -> float:
        moment[0] += 2
        return moment[0]

    steps = Steps(ProgressWriter("evaluate", put.append, clock), total=4)
    assert list(steps.each("ab")) == ["a", "b"]
    assert list(steps.each("cd")) == ["c", "d"]
    assert [document.percent for document in put] == [25, 50, 75, 100]


def test_no_parts_at_all_are_all_done() -> None:
    put: list[Progress] = []
    ProgressWriter("publish", put.append).report(0, 0)
    assert put[0].percent == 100
