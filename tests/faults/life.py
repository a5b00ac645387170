"""A whole life of a voice, station by station: trained, trained again, expired, renewed, revoked, deleted."""

from tests.faults.lab import Lab
from tests.faults.snapshot import differences
from tests.support.voices import Object

STATION_SECONDS = 90.0

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
        return lab.seconds_until(f"{voice} {station}", alike, STATION_SECONDS)
    except AssertionError as error:
        raise AssertionError("\n".join([f"{error}; other than in an life without faults:", *found])) from None


def delete(lab: Lab, voice: str) -> float:
    """Delete the voice, and wait until nothing is left of it."""
    lab.delete(voice)
    return lab.seconds_until(f"{voice} to leave nothing", lambda: not lab.remains(voice), STATION_SECONDS)


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
