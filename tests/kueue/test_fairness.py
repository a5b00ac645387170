"""Twenty voices of three namespaces on two GPUs: order, fairness, preemption and resumption, as voices tell them."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dev.operator_process import OperatorProcess
from tests.faults.node import Outcome, StagePod
from tests.kueue.queues import cluster_queue, local_queue, priority_class
from tests.kueue.team import Run, Team
from tests.support.kueue import Kueue
from tests.support.waiting import wait_for

from voice_operator.reconcile.times import parse

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.kueue]

GPUS = 2
VOICES = {"team-a": 10, "team-b": 6, "team-c": 4}
TRAINING_SECONDS = 4.0
SEEN_SECONDS = 3.0
MOMENT_SECONDS = 2.0
LIMIT_SECONDS = 900
URGENT = "urgent"
FAIR = {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority", "borrowWithinCohort": {"policy": "Never"}}
WAITING = {"Queued", "PreemptedByKueue", "EvictedByKueue"}


class Training:
    """A plan under which each stage on a GPU takes a while, and the first ones until somebody wants their GPU."""

    def __init__(self, team: Team, *, keeps: bool) -> None:
        self._team = team
        self._keeps = keeps

    def __call__(self, pod: StagePod) -> Outcome | None:
        if pod.stage == "prepare":
            return Outcome()
        if self._keeps and not any(run.evicted for run in list(self._team.node.runs.values())):
            return None
        run = self._team.node.runs.get(pod.name)
        return Outcome() if run is not None and time.monotonic() - run.began >= TRAINING_SECONDS else None


@pytest.fixture
def fair(kueue: Kueue) -> Iterator[Kueue]:
    """Kueue with fair sharing."""
    kueue.start(fairSharing={"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]})
    kueue.apply(priority_class("urgent", 1000))
    yield kueue
    kueue.stop()


def status_writes(operator: OperatorProcess) -> float:
    return operator.metric("voice_operator_status_writes_total", kind="VoiceModel")


def test_twenty_voices_of_three_namespaces_share_two_gpus(
    fair: Kueue, operator: OperatorProcess, make_team: Callable[[str], Team], repository: Path
) -> None:
    fair.apply(cluster_queue("pool", gpus=GPUS, cohort="studio"))
    teams = {}
    for name in VOICES:
        fair.apply(cluster_queue(name, gpus=0, cohort="studio", preemption=FAIR))
        teams[name] = make_team(name)
        fair.apply(local_queue(name, "gpu", name))
        teams[name].node.plan = Training(teams[name], keeps=name == "team-a")
    began, writes = time.monotonic(), status_writes(operator)

    # The first team takes both GPUs, then the others come.
    names = {team: [f"voice-{number:02}" for number in range(count)] for team, count in VOICES.items()}
    names["team-a"].pop()  # the last one comes late, and is urgent
    apply(teams["team-a"], names["team-a"])
    wait_for("team-a to have both GPUs", lambda: len(running(teams)) == GPUS, LIMIT_SECONDS)
    apply(teams["team-b"], names["team-b"])
    apply(teams["team-c"], names["team-c"])
    held = teams["team-a"].node.runs
    wait_for("team-a to lose one", lambda: any(run.evicted for run in list(held.values())), LIMIT_SECONDS)
    most, told, places = 0, dict[tuple[str, str], set[str]](), set[str]()
    while sum(map(published, teams.values())) < sum(VOICES.values()):
        assert time.monotonic() - began < LIMIT_SECONDS, told
        most = max(most, len(running(teams)))
        for team in teams.values():
            look(team, told, places)
        if len(names["team-a"]) < VOICES["team-a"] and published(teams["team-b"]) >= 1:
            apply(teams["team-a"], [URGENT], priorityClass="urgent")
            names["team-a"].append(URGENT)
        time.sleep(1)
    seconds = time.monotonic() - began

    assert most <= GPUS, "no more pods than the quota has GPUs"
    runs = {name: list(team.node.runs.values()) for name, team in teams.items()}
    preempted = sum(run.evicted for found in runs.values() for run in found)
    counted = sum(
        team.stage(voice, stage)["failures"].get("preemption", 0)
        for name, team in teams.items()
        for voice in names[name]
        for stage in ("train", "evaluate")
    )
    assert preempted >= 2, "team-b takes from what team-a borrowed, and what is urgent from its own team"
    # A pod that was there for a moment may not have been seen; whatever ran for a while was.
    seen = sum((run.ended or 0) - run.began >= SEEN_SECONDS for found in runs.values() for run in found if run.evicted)
    assert 1 <= seen <= counted <= preempted, (seen, counted, preempted)
    others = [
        (voice, stage["name"], stage["failures"])
        for name, team in teams.items()
        for voice in names[name]
        for stage in team.status(voice)["stages"]
        if any(number for kind, number in stage["failures"].items() if kind != "preemption")
    ]
    assert not others, "and as nothing else"
    waited = {voice for voice, reasons in told.items() if reasons & WAITING}
    assert len(waited) >= sum(VOICES.values()) - GPUS, "who waits says so"
    assert {reason for reasons in told.values() for reason in reasons} >= {"Queued", "PreemptedByKueue"}
    contended = shares(runs)
    assert min(contended.values()) >= TRAINING_SECONDS, contended
    for name, team in teams.items():
        first = first_trainings(runs[name])
        assert len(first) == VOICES[name], "each voice of a team was trained"
        assert not out_of_order(team, first), "and those of one priority by their age"
    assert [*first_trainings(runs["team-a"])][-1] != URGENT, "what is urgent went before others of its team"
    figures = {
        "voices": sum(VOICES.values()),
        "gpus": GPUS,
        "seconds": round(seconds, 1),
        "most_pods_at_a_time": most,
        "runs_on_gpus": sum(map(len, runs.values())),
        "preempted": preempted,
        "counted": counted,
        "gpu_seconds_while_all_teams_train": contended,
        "status_writes": status_writes(operator) - writes,
        "places_told": sorted(places),
    }
    folder = repository / "out" / "kueue"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fairness.json").write_text(json.dumps(figures, indent=1) + "\n")


def apply(team: Team, voices: list[str], **compute: str) -> None:
    for voice in voices:
        team.apply(voice, compute={"queueName": "gpu"} | compute)


def running(teams: dict[str, Team]) -> list[Run]:
    """The pods that are on GPUs now and have not been told to end."""
    runs = [run for team in teams.values() for run in list(team.node.runs.values())]
    return [run for run in runs if run.ended is None and not run.evicted]


def published(team: Team) -> int:
    return len(team.client.objects("voicerevisions"))


def look(team: Team, told: dict[tuple[str, str], set[str]], places: set[str]) -> None:
    """Note the reasons that the voices of a team tell, and their places."""
    for voice in team.client.objects("voicemodels"):
        conditions = (voice.get("status") or {}).get("conditions") or ()
        ready = next((one for one in conditions if one["type"] == "Ready"), {"reason": "", "message": ""})
        told.setdefault((team.namespace, voice["metadata"]["name"]), set()).add(ready["reason"])
        if ready["reason"] in WAITING and " in LocalQueue gpu" in ready["message"]:
            places.add(ready["message"].partition(" in LocalQueue")[0].rpartition(" ")[2])


def first_trainings(runs: list[Run]) -> dict[str, float]:
    """When each voice of a team was on a GPU for the first time, the first one first."""
    first = dict[str, float]()
    for run in sorted(runs, key=lambda run: run.began):
        if run.stage == "train":
            first.setdefault(run.voice, run.began)
    return first


def out_of_order(team: Team, first: dict[str, float]) -> list[tuple[str, str]]:
    """Pairs of voices of one priority of which the younger Workload ran first; a moment apart counts as equal."""
    ages = {}
    for workload in team.client.objects("workloads"):
        job = workload["metadata"]["ownerReferences"][0]["name"]
        if "-train-" in job and not job.startswith(URGENT):
            ages[job.partition("-train-")[0].rpartition("-")[0]] = parse(workload["metadata"]["creationTimestamp"])
    order = [voice for voice in first if voice in ages]
    return [
        (one, other)
        for one, other in itertools.pairwise(order)
        if (ages[one] - ages[other]).total_seconds() > MOMENT_SECONDS and first[other] - first[one] > MOMENT_SECONDS
    ]


def shares(runs: dict[str, list[Run]]) -> dict[str, float]:
    """GPU seconds of each team while all had something to train: from the last one's start to the first one's end."""
    trained = {team: max(run.ended or 0.0 for run in found) for team, found in runs.items()}
    begin = max(min(run.began for run in found) for found in runs.values())
    end = min(trained.values())

    def overlap(run: Run) -> float:
        return max(min(run.ended or end, end) - max(run.began, begin), 0.0)

    return {team: round(sum(map(overlap, found)), 1) for team, found in runs.items()}
