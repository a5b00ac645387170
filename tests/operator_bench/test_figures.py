"""Figures of the operator's benchmark: quantiles, counters, table and picture."""

import math
from pathlib import Path
from typing import Any

import pytest
from dev.operator_bench.measure import Counts
from dev.operator_bench.plots import draw
from dev.operator_bench.quantiles import histogram_quantile, quantile
from dev.operator_bench.table import markdown
from PIL import Image
from prometheus_client.samples import Sample


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_the_nearest_rank(fraction: float, expected: float) -> None:
    assert quantile([4, 1, 3, 2], fraction) == expected


def test_a_histogram_tells_the_bound_of_the_bucket() -> None:
    buckets = {0.1: 50.0, 1.0: 98.0, 2.0: 100.0, math.inf: 100.0}
    assert [histogram_quantile(buckets, fraction) for fraction in (0.5, 0.51, 0.99)] == [0.1, 1.0, 2.0]
    assert math.isnan(histogram_quantile({1.0: 0.0}, 0.5))


def test_counts_are_sums_over_all_series() -> None:
    samples = [
        Sample("rest_client_requests_total", {"verb": "get", "resource": "jobs", "code": "200"}, 3.0),
        Sample("rest_client_requests_total", {"verb": "apply", "resource": "jobs", "code": "200"}, 2.0),
        Sample("rest_client_requests_total", {"verb": "patch", "resource": "leases", "code": "200"}, 6.0),
        Sample("controller_runtime_reconcile_total", {"controller": "voicemodel", "result": "success"}, 4.0),
        Sample("workqueue_depth", {"name": "voicemodel"}, 1.0),
        Sample("process_resident_memory_bytes", {}, 99.0),
    ]
    assert Counts.of(samples) == Counts(requests=11, writes=2, passes=4, depth=1)


def a_run(voices: int, foreign_jobs: int = 0) -> dict[str, Any]:
    seconds = {"count": 50, "p50": 0.2, "p99": 1.5, "max": 2.0}
    rate = {"requests_per_minute": 12.0, "writes_per_minute": 0.0, "passes_per_minute": 3.0}
    return {
        "name": f"{voices:,}",
        "voices": voices,
        "foreign_jobs": foreign_jobs,
        "rest_mb": 80.5,
        "peak_mb": 120.25,
        "event_to_job": {"outside": seconds, "histogram": {"p50": 0.25, "p99": 2.0}},
        "event_to_job_at_once": {"outside": seconds | {"p99": 9.5}, "jobs_per_second": 90.5},
        "revocation": seconds,
        "revocations_at_once": seconds,
        "rest": rate,
        "waiting": rate,
        "restart": {"requests_per_pass": 6.1, "synced_seconds": 2.5, "quiet_seconds": 20.0},
    }


def test_the_table_has_a_column_for_each_run() -> None:
    lines = markdown([a_run(100), a_run(1000, 8000)]).splitlines()
    assert lines[0] == "| voices | 100 | 1,000 |"
    assert "| event → Job p50 / p99, s | 0.2 / 1.5 | 0.2 / 1.5 |" in lines
    assert "| event → Job p50 / p99 of all at once, s | 0.2 / 9.5 | 0.2 / 9.5 |" in lines


def test_the_picture_shows_all_runs(tmp_path: Path) -> None:
    pictures = []
    for count in (1, 3):
        draw([a_run(10**number) for number in range(2, 2 + count)], tmp_path / "operator.png")
        pictures.append(Image.open(tmp_path / "operator.png").convert("L"))
    assert pictures[0].size == pictures[1].size
    inked = [sum(level < 250 for level in picture.tobytes()) for picture in pictures]
    assert min(inked) > 10_000
    assert inked[0] != inked[1]
