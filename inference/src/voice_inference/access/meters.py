"""What each caller has used, and whether it may use more: token buckets by the minute, and a sum by the day."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from voice_inference.access.callers import Caller, Limits
from voice_inference.errors import RateLimited, TextTooLong

MAX_CALLERS: Final = 10_000  # beyond them the one that was away longest is forgotten
MINUTE_SECONDS: Final = 60.0


@dataclass
class Totals:
    """What a caller has used since ``since``."""

    since: datetime
    requests: int = 0
    refused: int = 0  # by its limits
    characters: int = 0
    seconds: float = 0.0  # of speech


class _Bucket:
    """A token bucket that holds a minute's worth and fills steadily."""

    def __init__(self, now: datetime) -> None:
        self._spent = 0.0
        self._at = now

    def wait(self, amount: int, per_minute: int, now: datetime) -> float:
        """Return the seconds until so much is there; 0: now."""
        elapsed = max(0.0, (now - self._at).total_seconds())  # clocks are set back
        spent = min(self._spent, per_minute)  # the limit may be new, or lower than it was
        self._spent, self._at = max(0.0, spent - elapsed * per_minute / MINUTE_SECONDS), now
        return max(0.0, self._spent + amount - per_minute) * MINUTE_SECONDS / per_minute

    def take(self, amount: int) -> None:
        """Take it; a negative amount is given back."""
        self._spent = max(0.0, self._spent + amount)


class Meter:
    """One caller's use."""

    def __init__(self, now: datetime) -> None:
        self.totals = Totals(now)
        self.running = 0
        self._requests, self._characters = _Bucket(now), _Bucket(now)
        self._day: date = now.date()
        self._today = 0

    def admit(self, characters: int, limits: Limits, now: datetime) -> None:
        """Count a request that begins; ``release`` ends it.

        Raises:
            TextTooLong: the text alone is more than the caller may have at a time.
            RateLimited: it may have it later.
        """
        try:
            self._check(characters, limits, now)
        except (RateLimited, TextTooLong):
            self.totals.refused += 1
            raise
        self._requests.take(1)
        self._characters.take(characters)
        self._today = self.today(now) + characters
        self.running += 1
        self.totals.requests += 1
        self.totals.characters += characters

    def refund(self, characters: int) -> None:
        """Give back the characters of a request that was refused after all."""
        self._characters.take(-characters)
        self._today = max(0, self._today - characters)
        self.totals.characters -= characters

    def release(self, seconds: float) -> None:
        """End a request that gave so much speech."""
        self.running -= 1
        self.totals.seconds += seconds

    def today(self, now: datetime) -> int:
        """Return the characters of this day (UTC)."""
        if self._day != now.date():
            self._day, self._today = now.date(), 0
        return self._today

    def _check(self, characters: int, limits: Limits, now: datetime) -> None:
        for most, period in ((limits.characters_per_minute, "minute"), (limits.characters_per_day, "day")):
            if most and characters > most:
                raise TextTooLong(
                    f"input has {characters} characters, but you may have {most} a {period}; send less text at a time."
                )
        if limits.concurrency and self.running >= limits.concurrency:
            raise RateLimited(f"{self.running} requests of yours are running; wait for one to end.", retry_after=1)
        if limits.characters_per_day and self.today(now) + characters > limits.characters_per_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
            said = f"You have had {self.today(now)} of {limits.characters_per_day} characters today (UTC)."
            raise RateLimited(said, retry_after=math.ceil((midnight - now).total_seconds()))
        buckets = (
            (self._requests, 1, limits.requests_per_minute, "requests"),
            (self._characters, characters, limits.characters_per_minute, "characters"),
        )
        for bucket, amount, per_minute, what in buckets:
            if per_minute and (seconds := bucket.wait(amount, per_minute, now)):
                raise RateLimited(f"You may have {per_minute} {what} a minute.", retry_after=math.ceil(seconds))


class Meters:
    """The meters of all callers."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._meters: OrderedDict[str, Meter] = OrderedDict()

    def of(self, caller: Caller) -> Meter:
        """Return the caller's meter."""
        meter = self._meters.pop(caller.id, None) or Meter(self._clock())
        self._meters[caller.id] = meter
        if len(self._meters) > MAX_CALLERS:
            idle = next((one for one, known in self._meters.items() if not known.running), None)
            if idle is not None:
                del self._meters[idle]
        return meter
