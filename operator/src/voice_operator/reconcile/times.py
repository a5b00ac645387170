"""RFC 3339 in UTC, to the second: the only form of a time in our resources and documents."""

from datetime import UTC, datetime, timedelta

CLOCK_TOLERANCE = timedelta(seconds=10)  # between clocks that somebody keeps


def render(moment: datetime) -> str:
    """Return the time as 2026-11-23T06:07:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """Return the time that ``text`` states.

    Raises:
        ValueError: it is no RFC 3339 time.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
