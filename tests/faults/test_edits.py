"""Hundreds of edits in any order: where a voice arrives depends on its last spec alone."""

import random
import time
from typing import Any

import pytest
from tests.faults.lab import Lab
from tests.faults.snapshot import differences, end_of
from tests.support.voices import make_voice

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

SEED = 17
VOICES = ("walker", "wanderer", "rover")
SETTLED_SECONDS = 120
AGREED = {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."}

UNHINDERED = {
    "consent": AGREED | {"expires": None},
    "suspend": False,
    "base": "tiny",
    "serving": {"server": "default"},
}
"""The last edit of each voice: one that is stopped half-way has a history that a fresh one has not."""

# Each choice is a part of the spec; a merge patch with null removes what an earlier one set.
EDITS: dict[str, list[Any]] = {
    "training": [{"seed": seed} for seed in range(4)],
    "consent": [UNHINDERED["consent"]] * 3
    + [AGREED | {"expires": "2020-01-01"}] * 2
    + [AGREED | {"expires": "2099-12-31"}],
    "suspend": [False, False, True],
    "base": ["tiny", "tiny", "tiny", "unknown"],
    "serving": [{"server": "default"}, {"server": "default"}, {"server": "absent"}],
    "compute": [{"gpus": 0}, {"gpus": 1}, {"capacity": "Spot"}, {"capacity": "OnDemand"}],
    "evaluation": [{"texts": []}, {"texts": ["One more sentence."]}, {"gates": []}, {"gates": None}],
    "retries": [{"transient": 2}, {"transient": 0}],
    "retention": [{"legalHold": False}, {"legalHold": False}, {"legalHold": True}],
}


def test_random_edits_end_where_a_fresh_apply_of_the_last_spec_ends(scenario: Any) -> None:
    lab, choice = scenario.lab(), seeded(SEED)
    for voice in VOICES:
        lab.apply(voice)
    for _ in range(scenario.repetitions.edits):
        field = choice.choice([*EDITS])
        lab.edit(choice.choice(VOICES), **{field: choice.choice(EDITS[field])})
        time.sleep(choice.choice((0, 0, 0.1, 0.5)))
    for number, voice in enumerate(VOICES):
        fresh = f"fresh{number}"
        lab.edit(voice, **UNHINDERED)
        spec = lab.client.get("voicemodels", voice)["spec"]
        lab.client.apply(make_voice(fresh, lab.namespace) | {"spec": spec})
        scenario.took(
            lab.seconds_until(f"{voice} to end as {fresh}", settled_alike(lab, voice, fresh), SETTLED_SECONDS)
        )


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 -- the same walk each time


def settled_alike(lab: Lab, voice: str, fresh: str) -> Any:
    """Return a poll: both have arrived at their last spec, at the same end. What differs is printed once in a while."""
    said = [time.monotonic()]

    def alike() -> bool:
        if lab.status(fresh).get("observedGeneration", -1) < 1:
            return False
        different = differences(end_of(lab.client, fresh, lab.listed()), end_of(lab.client, voice, lab.listed()))
        if different and time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            print(f"{voice} differs from {fresh}:", *different, sep="\n  ")  # noqa: T201 -- pytest shows it on failure
        return not different and not working(lab, fresh) and not working(lab, voice)

    return alike


def working(lab: Lab, voice: str) -> bool:
    return lab.condition(voice, "Reconciling")["status"] != "False"
