"""Waits for voices until each has come to an end, or the time is over; every look is at what is there now."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from voice_cli.api import VOICE, Object, name_of
from voice_cli.errors import Unavailable
from voice_cli.kubectl import Kubectl
from voice_cli.outcomes import Outcome, outcome_of
from voice_cli.timeline import VoiceReport, report_of

Key = tuple[str, str]  # namespace and name

POLL_SECONDS = 2.0
UNAVAILABLE_SECONDS = 300.0  # an API server that is away for less than this ends no wait


def wait_for_all(
    voices: Sequence[Key],
    kubectl: Kubectl,
    *,
    seconds: float,
    told: Callable[[VoiceReport], None] = lambda _: None,
) -> dict[Key, tuple[Outcome | None, Object]]:
    """Return the outcome and the last state of each voice; without an outcome, the time was over.

    Args:
        voices: namespace and name of each.
        kubectl: how to ask.
        seconds: how long, for all of them together.
        told: called with each state that was seen.
    """
    deadline, answered = time.monotonic() + seconds, time.monotonic()
    found: dict[Key, tuple[Outcome | None, Object]] = {}
    waiting = list(voices)
    while True:
        try:
            for key, state in _states(waiting, kubectl).items():
                found[key] = (outcome_of(state) if state else _gone(key), state)
                if state:
                    told(report_of(state, None, datetime.now(UTC)))
            answered = time.monotonic()
        except Unavailable:
            if time.monotonic() - answered > UNAVAILABLE_SECONDS:
                raise
        waiting = [key for key in waiting if key not in found or found[key][0] is None]
        if not waiting or time.monotonic() > deadline:
            return {key: found.get(key, (None, {})) for key in voices}
        time.sleep(POLL_SECONDS)


def _states(voices: Sequence[Key], kubectl: Kubectl) -> dict[Key, Object]:
    """Return the VoiceModels, asked for by one process for each namespace; an empty one: it is gone."""
    states: dict[Key, Object] = {key: {} for key in voices}
    for namespace in sorted({namespace for namespace, _ in voices}):
        names = [name for where, name in voices if where == namespace]
        there = kubectl.within(namespace).named(VOICE, names)
        states |= {(namespace, name_of(state)): state for state in there}
    return states


def _gone(key: Key) -> Outcome:
    sentence = f"{key[1]}: the VoiceModel was deleted meanwhile"
    return Outcome(good=False, phase="Deleted", reason="Deleted", sentence=sentence)
