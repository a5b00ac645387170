"""A pass waits for no long listing, and a listing that has ended brings its voice back."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from voice_operator.cluster import listings as listings_module
from voice_operator.cluster.listings import Listings, Owner
from voice_operator.errors import ListingUnderWay, StoreError

ALICE, BOB = ("studio", "alice"), ("studio", "bob")
URI = "s3://voices/datasets/studio/alice"


class Folder:
    """A prefix that takes as long as the test wants."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.ends = asyncio.Event()
        self.fails = False

    async def fingerprint(self, uri: str, namespace: str) -> str:
        self.begun.append((uri, namespace))
        await self.ends.wait()
        if self.fails:
            raise StoreError("away")
        return f"sha256:{len(self.begun)}"


Scenario = Callable[[Listings, Folder, list[Owner]], Coroutine[Any, Any, None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    monkeypatch.setattr(listings_module, "TIMEOUT_SECONDS", 0.02)

    async def whole(scenario: Scenario) -> None:
        folder, ended = Folder(), list[Owner]()
        found = Listings(folder.fingerprint)
        found.on_end = ended.append
        try:
            await asyncio.wait_for(scenario(found, folder, ended), timeout=5)
        finally:
            found.close()

    return lambda scenario: asyncio.run(whole(scenario))


Run = Callable[[Scenario], None]


def test_a_short_listing_is_waited_for_and_made_anew_each_time(run: Run) -> None:
    async def scenario(listings: Listings, folder: Folder, ended: list[Owner]) -> None:
        folder.ends.set()
        assert await listings.fingerprint(URI, ALICE) == "sha256:1"
        assert await listings.fingerprint(URI, ALICE) == "sha256:2"
        assert folder.begun == [(URI, "studio")] * 2
        assert ended == []

    run(scenario)


def test_a_long_listing_goes_on_beside_and_its_end_is_told(run: Run) -> None:
    async def scenario(listings: Listings, folder: Folder, ended: list[Owner]) -> None:
        for _ in range(3):
            with pytest.raises(ListingUnderWay, match=URI):
                await listings.fingerprint(URI, ALICE)
        assert len(folder.begun) == 1
        folder.ends.set()
        await asyncio.sleep(0.01)
        assert ended == [ALICE]
        assert await listings.fingerprint(URI, ALICE) == "sha256:1"

    run(scenario)


def test_a_listing_that_fails_beside_is_told_and_fails_the_next_pass(run: Run) -> None:
    async def scenario(listings: Listings, folder: Folder, ended: list[Owner]) -> None:
        folder.fails = True
        with pytest.raises(ListingUnderWay):
            await listings.fingerprint(URI, ALICE)
        folder.ends.set()
        await asyncio.sleep(0.01)
        assert ended == [ALICE]
        with pytest.raises(StoreError, match="away"):
            await listings.fingerprint(URI, ALICE)

    run(scenario)


def test_another_address_of_the_same_voice_ends_the_listing_of_the_first(run: Run) -> None:
    async def scenario(listings: Listings, folder: Folder, ended: list[Owner]) -> None:
        with pytest.raises(ListingUnderWay):
            await listings.fingerprint(URI, ALICE)
        folder.ends.set()
        assert await listings.fingerprint(f"{URI}2", ALICE) == "sha256:2"

    run(scenario)


def test_of_voices_that_never_come_back_only_so_many_are_remembered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings_module, "MAX_KEPT", 3)

    async def scenario(listings: Listings, folder: Folder, ended: list[Owner]) -> None:
        for number in range(10):
            with pytest.raises(ListingUnderWay):
                await listings.fingerprint(URI, ("studio", str(number)))
            folder.ends.set()
            await asyncio.sleep(0)
            folder.ends.clear()
            assert len(listings._listings) <= 3 + 1

    run(scenario)
