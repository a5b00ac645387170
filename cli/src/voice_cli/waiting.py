"""Waits for voices until each has come to an end, or the time is over; every look is at what is there now."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from voice_cli.api import VOICE, Object
from voice_cli.errors import Unavailable
from voice_cli.kubectl import Kubectl
from voice_cli.outcomes import Outcome, outcome_of
from voice_cli.timeline import VoiceReport, report_of

POLL_SECONDS = 2.0
UNAVAILABLE_SECONDS = 300.0  # an API server that is away for less than this ends no wait


def wait_for_all(
    voices: Sequence[tuple[str, str]],
    kubectl: Kubectl,
    *,
    seconds: float,
    told: Callable[[VoiceReport], None] = lambda _: None,
) -> dict[tuple[str, str], tuple[Outcome | None, Object]]:
    """Return the outcome and the last state of each voice; without an outcome, the time was over.

    Args:
        voices: namespace and name of each.
        kubectl: how to ask.
        seconds: how long, for all of them together.
        told: called with each state that was seen.
    """
    deadline, answered = time.monotonic() + seconds, time.monotonic()
    found: dict[tuple[str, str], tuple[Outcome | None, Object]] = {}
    waiting = list(voices)
    while True:
        try:
            for namespace, name in waiting:
                state = kubectl.within(namespace).get(VOICE, name)
                found[namespace, name] = (outcome_of(state), state)
                told(report_of(state, None, datetime.now(UTC)))
            answered = time.monotonic()
        except Unavailable:
            if time.monotonic() - answered > UNAVAILABLE_SECONDS:
                raise
        waiting = [key for key in waiting if key not in found or found[key][0] is None]
        if not waiting or time.monotonic() > deadline:
            return found
        time.sleep(POLL_SECONDS)
