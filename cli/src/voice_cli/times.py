"""Times and durations as people read them; pure."""

from datetime import UTC, datetime


def parsed(text: object) -> datetime | None:
    """Return a time of the API; None where there is none, or it cannot be read."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def rendered(time: datetime) -> str:
    """Return a time as the API writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Return seconds as ``8s``, ``2m14s``, ``3h5m`` or ``12d``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


def age(since: object, now: datetime) -> str:
    """Return how long ago a time of the API is; empty where it cannot be read."""
    began = parsed(since)
    return "" if began is None else duration((now - began).total_seconds()).replace("m00s", "m").replace("h00m", "h")
