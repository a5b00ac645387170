"""A whole life of a voice, station by station: trained, trained again, expired, renewed, revoked, deleted."""

import time
from collections.abc import Callable

from tests.faults.lab import Lab
from tests.faults.snapshot import differences
from tests.support.voices import Object

STATION_SECONDS = 90.0  # from the operator's last start: how often a fault ends it depends on the fault

Life = dict[str, Object]  # station -> snapshot


def faultless_life(lab: Lab, voice: str) -> Life:
    """Live a life without faults; each snapshot is taken once nothing is written any more."""
    stations: Life = {}
    for station, begin in STATIONS.items():
        begin(lab, voice)
        lab.until_settled(voice)
        lab.until_quiet()
        stations[station] = lab.snapshot(voice)
    delete(lab, voice)
    return stations


def live_like(expected: Life, lab: Lab, voice: str) -> float:
    """Live a life whose stations become those of ``expected``; return the seconds of the longest one."""
    longest = 0.0
    for station, snapshot in expected.items():
        STATIONS[station](lab, voice)
        longest = max(longest, until_like(snapshot, lab, voice, station))
    return max(longest, delete(lab, voice))


def until_like(expected: Object, lab: Lab, voice: str, station: str) -> float:
    """Wait for this state; return how many seconds that took. What differs at the end is said field by field."""
    found: list[str] = []

    def alike() -> bool:
        found[:] = differences(expected, lab.snapshot(voice))
        return not found

    try:
        return _seconds_until(f"{voice} {station}", alike, lab)
    except AssertionError as error:
        raise AssertionError("\n".join([f"{error}; other than in an life without faults:", *found])) from None


def delete(lab: Lab, voice: str) -> float:
    """Delete the voice, and wait until nothing is left of it."""
    lab.delete(voice)
    return _seconds_until(f"{voice} to leave nothing", lambda: not lab.remains(voice), lab)


def _seconds_until(what: str, poll: Callable[[], bool], lab: Lab) -> float:
    """Wait until STATION_SECONDS after the operator's last start; return how many seconds that took."""
    began = time.monotonic()
    while True:
        starts = lab.operator.starts
        try:
            lab.seconds_until(what, poll, STATION_SECONDS)
        except AssertionError:
            if lab.operator.starts == starts:
                raise
        else:
            return time.monotonic() - began


def _begin(lab: Lab, voice: str) -> None:
    lab.apply(voice)


def _train_again(lab: Lab, voice: str) -> None:
    lab.edit(voice, training={"seed": 2})


def _expire(lab: Lab, voice: str) -> None:
    lab.edit(voice, consent={"expires": "2020-01-01"})


def _renew(lab: Lab, voice: str) -> None:
    lab.edit(voice, consent={"expires": None})


def _revoke(lab: Lab, voice: str) -> None:
    lab.revoke(voice)


STATIONS = {
    "is trained": _begin,
    "is trained again": _train_again,
    "is no longer agreed to": _expire,
    "is agreed to again": _renew,
    "is revoked": _revoke,
}
