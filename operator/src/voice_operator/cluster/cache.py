"""The newest known state of the objects of one kind: an older read never replaces a newer one."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from voice_operator.cluster.kube import Object

T = TypeVar("T")
ObjectKey = tuple[str, str]  # namespace, name
Project = Callable[[Object, T | None], T]
Groups = Callable[[T], Iterable[Hashable]]
OnChange = Callable[[ObjectKey, T | None, T | None], None]  # key, old, new; None: there is no such object


class Cache(Generic[T]):
    """Objects by namespace and name, fed by watch events, lists, single reads and the answers to writes.

    Each read may be overtaken by another; resource versions tell which is newer. They grow with each write to the
    cluster (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
    """

    def __init__(
        self,
        project: Project[T],
        *,
        groups: Groups[T] | None = None,
        on_change: OnChange[T] | None = None,
    ) -> None:
        """``project`` reduces an object (and what was kept of it before) to what is kept; ``groups`` indexes it."""
        self._project = project
        self._groups = groups or (lambda _: ())
        self._on_change = on_change
        self._kept: dict[ObjectKey, tuple[int, T]] = {}
        self._deleted: dict[ObjectKey, int] = {}  # until a list is newer than the deletion
        self._listed: dict[str | None, int] = {}  # version of the last list, by namespace; None: of all
        self._members: defaultdict[Hashable, dict[ObjectKey, T]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[ObjectKey]:
        """Iterate over namespace and name of every object."""
        return iter(tuple(self._kept))

    def values(self) -> list[T]:
        """Return what is kept of every object."""
        return [kept for _, kept in self._kept.values()]

    def get(self, namespace: str, name: str) -> T | None:
        """Return what is kept of an object, or None."""
        found = self._kept.get((namespace, name))
        return None if found is None else found[1]

    def group(self, member_of: Hashable) -> list[T]:
        """Return the members of a group, by namespace and name."""
        members = self._members.get(member_of, {})
        return [members[key] for key in sorted(members)]

    def count(self, member_of: Hashable) -> int:
        """Return how many members a group has."""
        return len(self._members.get(member_of, ()))

    def update(self, item: Object) -> bool:
        """Keep an object unless something newer is known; return whether it was news."""
        key, version = key_of(item), version_of(item)
        if version <= self._last_seen(key):
            return False
        old = self.get(*key)
        new = self._project(item, old)
        self._deleted.pop(key, None)
        self._kept[key] = (version, new)
        self._regroup(key, old, new)
        return True

    def delete(self, item: Object) -> None:
        """Forget an object that a watch event says is deleted, unless a newer one of its name is known."""
        key, version = key_of(item), version_of(item)
        if version >= self._last_seen(key):
            self._deleted[key] = version
            self._forget(key)

    def retain(self, listed: Iterable[ObjectKey], version: int, namespace: str | None = None) -> None:
        """Forget what a complete list of one namespace (None: of all) at resource version ``version`` lacks.

        The listed objects themselves were given to ``update``, page by page.
        """
        listed = set(listed)
        self._listed[namespace] = max(version, self._listed.get(namespace, 0))
        for key, (known, _) in list(self._kept.items()):
            if key not in listed and known <= version and namespace in {None, key[0]}:
                self._forget(key)
        self._deleted = {
            key: deleted
            for key, deleted in self._deleted.items()
            if deleted > version or namespace not in {None, key[0]}
        }

    def rewind(self) -> None:
        """Let any state replace what is known: the cluster went back in time, as after the restore of a backup."""
        self._kept = {key: (0, kept) for key, (_, kept) in self._kept.items()}
        self._deleted.clear()
        self._listed.clear()

    @property
    def newest(self) -> int:
        """The highest resource version that was seen."""
        kept = (version for version, _ in self._kept.values())
        return max([0, *kept, *self._deleted.values(), *self._listed.values()])

    def _last_seen(self, key: ObjectKey) -> int:
        """Return the version at which an object was last seen, or last seen to be missing."""
        if key in self._kept:
            return self._kept[key][0]
        return max(self._deleted.get(key, 0), self._listed.get(None, 0), self._listed.get(key[0], 0))

    def _forget(self, key: ObjectKey) -> None:
        if key in self._kept:
            _, kept = self._kept.pop(key)
            self._regroup(key, kept, None)

    def _regroup(self, key: ObjectKey, old: T | None, new: T | None) -> None:
        for group in self._groups(old) if old is not None else ():
            self._members[group].pop(key, None)
            if not self._members[group]:
                del self._members[group]
        for group in self._groups(new) if new is not None else ():
            self._members[group][key] = new  # type: ignore[assignment]  # not None where there are groups
        if self._on_change is not None:
            self._on_change(key, old, new)


def key_of(item: Object) -> ObjectKey:
    """Return namespace and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def version_of(item: Any) -> int:
    """Return the resource version of an object or of a list; 0 where it is no number."""
    version = str((item.get("metadata") or {}).get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
