"""The cache: whatever the order in which reads arrive, the newest state stays."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from voice_operator.cluster.cache import Cache, ObjectKey

Read = Callable[[Cache[Any]], object]


def an_object(version: int, name: str = "alice", namespace: str = "studio", server: str = "default") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": str(version)}, "server": server}


def an_update(version: int, **about: str) -> Read:
    return lambda cache: cache.update(an_object(version, **about))


def a_deletion(version: int, **about: str) -> Read:
    return lambda cache: cache.delete(an_object(version, **about))


def a_list(version: int, *items: dict[str, Any], namespace: str | None = None) -> Read:
    def read(cache: Cache[Any]) -> None:
        for item in items:
            cache.update(item)
        keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]
        cache.retain(keys, version, namespace)

    return read


def a_cache(*reads: Read) -> Cache[int]:
    """A cache that keeps the version of each object, after some reads."""
    cache: Cache[int] = Cache(lambda item, _: int(item["metadata"]["resourceVersion"]))
    for read in reads:
        read(cache)
    return cache


def known(cache: Cache[int]) -> dict[str, int]:
    return {name: kept for namespace, name in cache if (kept := cache.get(namespace, name)) is not None}


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        pytest.param([an_update(5), an_update(7)], {"alice": 7}, id="an update"),
        pytest.param([an_update(7), an_update(5)], {"alice": 7}, id="an update that was overtaken"),
        pytest.param([an_update(9), an_update(10)], {"alice": 10}, id="versions are numbers, not text"),
        pytest.param([an_update(5), a_deletion(6)], {}, id="a deletion"),
        pytest.param([an_update(5), a_deletion(5)], {}, id="a deletion that tells the last state only"),
        pytest.param([a_deletion(6), an_update(5)], {}, id="an update that a deletion overtook"),
        pytest.param([an_update(5), a_deletion(6), an_update(5)], {}, id="the same read once more after the deletion"),
        pytest.param([an_update(5), a_deletion(6), an_update(8)], {"alice": 8}, id="another object of the same name"),
        pytest.param([an_update(8), a_deletion(6)], {"alice": 8}, id="a deletion that the next object overtook"),
        pytest.param(
            [an_update(8), a_deletion(6), a_deletion(9), an_update(7)], {}, id="a deletion after a late deletion"
        ),
        pytest.param([an_update(5), a_list(9)], {}, id="a list without it: its deletion was missed"),
        pytest.param([an_update(10), a_list(9)], {"alice": 10}, id="a list that is older than the object"),
        pytest.param([a_list(9, an_object(5)), an_update(12)], {"alice": 12}, id="an update after a list"),
        pytest.param([an_update(12), a_list(15, an_object(14))], {"alice": 14}, id="a list with a missed update"),
        pytest.param([an_update(12), a_list(9, an_object(5))], {"alice": 12}, id="a list that an update overtook"),
        pytest.param([a_deletion(7), a_list(6, an_object(5))], {}, id="a list that a deletion overtook"),
        pytest.param(
            [a_deletion(7), a_list(6, an_object(5)), an_update(5)], {}, id="and what else was read before the deletion"
        ),
        pytest.param([an_update(5), a_list(9), an_update(5)], {}, id="a read that a list without the object overtook"),
        pytest.param([a_deletion(6), a_list(9), an_update(5)], {}, id="a list keeps no dead object alive"),
    ],
)
def test_what_is_known_after(reads: list[Read], expected: dict[str, int]) -> None:
    assert known(a_cache(*reads)) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param(
            [an_update(5), an_update(7), a_deletion(8), an_update(9), a_list(10, an_object(9))],
            {"alice": 9},
            id="an object that was deleted and made again",
        ),
        pytest.param(
            [an_update(5), an_update(7), a_list(8, an_object(7)), a_deletion(9), a_list(10)],
            {},
            id="an object that is gone",
        ),
    ],
)
def test_the_order_of_reads_does_not_matter(history: list[Read], expected: dict[str, int]) -> None:
    for reads in permutations(history):
        assert known(a_cache(*reads)) == expected


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    elsewhere = an_update(5, name="bob", namespace="audiobooks")
    assert known(a_cache(an_update(5), elsewhere, a_list(9, namespace="studio"))) == {"bob": 5}
    late = an_update(6, name="carol", namespace="audiobooks")
    assert known(a_cache(a_list(9, namespace="studio"), late)) == {"carol": 6}


def test_after_the_restore_of_a_backup_older_versions_count() -> None:
    cache = a_cache(an_update(105), an_update(100, name="bob"), a_deletion(120, name="carol"), a_list(130))
    assert cache.newest == 130
    cache.update(an_object(140))
    cache.rewind()
    assert known(cache) == {"alice": 140}, "nothing is forgotten before the list is complete"
    a_list(60, an_object(50), an_object(55, name="carol"))(cache)
    assert known(cache) == {"alice": 50, "carol": 55}
    assert cache.newest == 60


def test_deletions_are_remembered_until_a_list_is_newer() -> None:
    cache = a_cache(*(a_deletion(number, name=f"voice-{number}") for number in range(1, 101)))
    a_list(90)(cache)
    assert len(cache._deleted) == 10, "nobody may pay memory for every deletion there ever was"


def a_grouped_cache(changes: list[tuple[ObjectKey, Any, Any]] | None = None) -> Cache[dict[str, Any]]:
    """A cache of objects by server; one without a server is in no group."""

    def note(key: ObjectKey, old: Any, new: Any) -> None:
        if changes is not None:
            changes.append((key, old and old["server"], new and new["server"]))

    return Cache(lambda item, _: item, groups=lambda item: [item["server"]] if item["server"] else [], on_change=note)


def members(cache: Cache[dict[str, Any]], group: str) -> list[str]:
    return [item["metadata"]["name"] for item in cache.group(group)]


def test_members_follow_every_change_of_their_group() -> None:
    cache = a_grouped_cache()
    for read in (an_update(1, name="bob"), an_update(2), an_update(3, name="carol", server="other")):
        read(cache)
    assert (members(cache, "default"), members(cache, "other")) == (["alice", "bob"], ["carol"])
    cache.update(an_object(4, "bob", server="other"))
    assert (members(cache, "default"), members(cache, "other")) == (["alice"], ["bob", "carol"])
    cache.update(an_object(5, "carol", server=""))
    cache.delete(an_object(6, "bob", server="other"))
    a_list(9)(cache)
    assert (members(cache, "default"), members(cache, "other")) == ([], [])


def test_asking_for_a_group_that_does_not_exist_makes_none() -> None:
    cache = a_grouped_cache()
    assert members(cache, "nobody") == []
    assert not cache._members


def test_each_change_is_told_once_with_both_states() -> None:
    changes: list[tuple[ObjectKey, Any, Any]] = []
    cache = a_grouped_cache(changes)
    cache.update(an_object(5))
    cache.update(an_object(5))
    cache.update(an_object(4, server="older"))
    cache.update(an_object(6, server="other"))
    cache.delete(an_object(4))
    cache.delete(an_object(7))
    cache.delete(an_object(8))
    a_list(9)(cache)
    alice = ("studio", "alice")
    assert changes == [(alice, None, "default"), (alice, "default", "other"), (alice, "other", None)]


def test_whoever_is_told_of_a_change_finds_it_in_the_cache() -> None:
    seen = []

    def look(key: ObjectKey, _: Any, __: Any) -> None:
        seen.append((cache.get(*key) is not None, members(cache, "default")))

    cache: Cache[dict[str, Any]] = Cache(lambda item, _: item, groups=lambda item: [item["server"]], on_change=look)
    cache.update(an_object(5))
    cache.delete(an_object(6))
    assert seen == [(True, ["alice"]), (False, [])]


def test_what_was_kept_before_is_there_for_the_next_state() -> None:
    cache: Cache[list[int]] = Cache(lambda item, old: [*(old or []), int(item["metadata"]["resourceVersion"])])
    cache.update(an_object(5))
    cache.update(an_object(6))
    assert cache.get("studio", "alice") == [5, 6]
