"""Limits of a caller, by a clock that tests set."""

from datetime import UTC, datetime, timedelta

import pytest

from voice_inference.access.callers import EVERYTHING, Caller, Limits
from voice_inference.access.meters import MAX_CALLERS, Meter, Meters
from voice_inference.errors import RateLimited, TextTooLong

NOON = datetime(2027, 10, 31, 12, tzinfo=UTC)


def after(**time: float) -> datetime:
    return NOON + timedelta(**time)


def test_a_minutes_requests_come_back_steadily() -> None:
    meter, limits = Meter(NOON), Limits(requests_per_minute=6)
    for _ in range(6):
        meter.admit(1, limits, NOON)
    with pytest.raises(RateLimited, match="6 requests a minute") as refused:
        meter.admit(1, limits, NOON)
    assert refused.value.retry_after == 10
    meter.admit(1, limits, after(seconds=10))
    with pytest.raises(RateLimited):
        meter.admit(1, limits, after(seconds=10))
    assert (meter.totals.requests, meter.totals.refused) == (7, 2)


def test_characters_have_a_minute_and_a_day() -> None:
    meter, limits = Meter(NOON), Limits(characters_per_minute=100, characters_per_day=250)
    with pytest.raises(TextTooLong, match="101 characters, but you may have 100 a minute"):
        meter.admit(101, limits, NOON)
    meter.admit(100, limits, NOON)
    with pytest.raises(RateLimited) as refused:
        meter.admit(50, limits, NOON)
    assert refused.value.retry_after == 30
    meter.admit(100, limits, after(minutes=1))
    with pytest.raises(RateLimited, match="200 of 250 characters today") as refused:
        meter.admit(100, limits, after(minutes=2))
    assert refused.value.retry_after == 12 * 3600 - 120
    meter.admit(100, limits, after(hours=12))
    assert meter.today(after(hours=12)) == 100


def test_what_was_refused_after_all_is_given_back() -> None:
    meter, limits = Meter(NOON), Limits(characters_per_minute=100)
    meter.admit(100, limits, NOON)
    meter.refund(100)
    meter.release(0)
    meter.admit(100, limits, NOON)
    assert meter.totals.characters == 100


def test_only_so_many_run_at_a_time() -> None:
    meter, limits = Meter(NOON), Limits(concurrency=2)
    meter.admit(1, limits, NOON)
    meter.admit(1, limits, NOON)
    with pytest.raises(RateLimited, match="2 requests of yours are running"):
        meter.admit(1, limits, NOON)
    meter.release(1.5)
    meter.admit(1, limits, NOON)
    assert meter.totals.seconds == 1.5


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    meter, limits = Meter(NOON), Limits(requests_per_minute=1)
    meter.admit(1, limits, NOON)
    with pytest.raises(RateLimited):
        meter.admit(1, limits, after(hours=-1))


def test_callers_do_not_pile_up() -> None:
    meters = Meters(lambda: NOON)
    busy = meters.of(Caller("busy", EVERYTHING))
    busy.admit(1, Limits(), NOON)
    for number in range(MAX_CALLERS + 10):
        meters.of(Caller(f"caller {number}", EVERYTHING))
    assert len(meters._meters) == MAX_CALLERS
    assert meters.of(Caller("busy", EVERYTHING)) is busy


@pytest.mark.parametrize("before", [Limits(), Limits(characters_per_minute=1_000_000)])
def test_a_limit_that_is_new_or_lower_than_before_is_kept_from_now_on(before: Limits) -> None:
    meter, limits = Meter(NOON), Limits(characters_per_minute=100)
    meter.admit(1_000_000, before, NOON)
    with pytest.raises(RateLimited) as refused:
        meter.admit(100, limits, NOON)
    assert refused.value.retry_after == 60
    meter.admit(100, limits, after(minutes=1))
