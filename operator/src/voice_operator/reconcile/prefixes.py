"""Whether an address lies below a prefix: compared segment by segment, as written, so that no spelling leads out."""

from collections.abc import Iterable

OPEN = ("s3://", "https://", "file:///")  # prefixes that stand for every address of their scheme
_ODD = frozenset("%\\?#")  # an encoding, another separator, a query: what a program may read as another path


def is_below_any(address: str, prefixes: Iterable[str]) -> bool:
    """Return whether an address is one of the prefixes or lies below one."""
    return any(is_below(address, prefix) for prefix in prefixes)


def is_below(address: str, prefix: str) -> bool:
    """Return whether an address is the prefix or lies below it; a slash at the end of either means nothing."""
    if prefix in OPEN:
        return address.startswith(prefix)
    inside, outside = _segments(address), _segments(prefix)
    return inside is not None and outside is not None and inside[: len(outside)] == outside


def _segments(address: str) -> tuple[str, ...] | None:
    """Return scheme and segments; None: some segment is not a plain name."""
    scheme, separator, rest = address.partition("://")
    path = rest.removeprefix("/") if scheme == "file" else rest
    parts = path.removesuffix("/").split("/")
    plain = all(part not in {"", ".", ".."} and part.isprintable() and _ODD.isdisjoint(part) for part in parts)
    return (scheme, *parts) if separator and plain else None
