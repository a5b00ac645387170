"""The table of measures: the bounds are in order, and docs/recordings.md shows them as they are."""

from pathlib import Path

import pytest

from voice_trainer.recordings.measures import MEASURES, Measure


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.title)
def test_a_warning_comes_before_a_refusal(measure: Measure) -> None:
    if measure.warn is not None and measure.refuse is not None:
        assert (measure.warn > measure.refuse) is (measure.better == "higher")


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.title)
def test_the_documentation_has_its_row(measure: Measure, repository: Path) -> None:
    sign = "below" if measure.better == "higher" else "above"
    bounds = ["" if bound is None else f"{sign} {measure.shown(bound)}" for bound in (measure.warn, measure.refuse)]
    row = f"| {measure.title} | {bounds[0]} | {bounds[1]} | `{measure.reason}` |"
    assert row in (repository / "docs" / "recordings.md").read_text(encoding="utf-8"), row
