"""Fingerprints of voices' recordings, made beside the passes over voices: no worker waits for a long listing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voice_operator.errors import ListingUnderWay

TIMEOUT_SECONDS = 2.0  # that a pass waits; a usual folder takes much less
MAX_KEPT = 10_000  # fingerprints that nobody has come back for

Owner = tuple[str, str]  # namespace and name of a voice
Fingerprint = Callable[[str, str], Awaitable[str | None]]  # of a URI, for a namespace


@dataclass
class _Listing:
    uri: str
    task: asyncio.Task[str | None]
    is_awaited: bool = True


class Listings:
    """One listing of each voice at a time; a voice that was turned away is told when its listing has ended."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint
        self._listings: dict[Owner, _Listing] = {}
        self.on_end: Callable[[Owner], None] = lambda _: None

    async def fingerprint(self, uri: str, owner: Owner) -> str | None:
        """Return what ``Store.fingerprint`` returns, and raise what it raises; each result is given once.

        Raises:
            ListingUnderWay: it takes longer than TIMEOUT_SECONDS; ``on_end`` is called when it has ended.
        """
        listing = self._listings.get(owner)
        if listing is None or listing.uri != uri:
            if listing is not None:
                listing.task.cancel()
            listing = self._begin(uri, owner)
        listing.is_awaited = True
        await asyncio.wait({listing.task}, timeout=TIMEOUT_SECONDS)
        listing.is_awaited = False
        if not listing.task.done():
            raise ListingUnderWay(f"{uri} is being listed")
        self._forget(owner, listing)
        return listing.task.result()

    def close(self) -> None:
        """Stop all listings."""
        for listing in self._listings.values():
            listing.task.cancel()

    def _begin(self, uri: str, owner: Owner) -> _Listing:
        task = asyncio.ensure_future(self._fingerprint(uri, owner[0]))
        listing = self._listings[owner] = _Listing(uri, task)
        task.add_done_callback(lambda _: self._ended(owner, listing))
        if len(self._listings) > MAX_KEPT:
            oldest = next((one for one, kept in self._listings.items() if kept.task.done()), owner)
            self._listings.pop(oldest).task.cancel()
        return listing

    def _ended(self, owner: Owner, listing: _Listing) -> None:
        if not listing.task.cancelled():
            listing.task.exception()  # nobody may come back for it
        if not listing.is_awaited:
            self.on_end(owner)

    def _forget(self, owner: Owner, listing: _Listing) -> None:
        if self._listings.get(owner) is listing:
            del self._listings[owner]
