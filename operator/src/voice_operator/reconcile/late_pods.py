"""Which pods of a server have not taken its newest list, so that their kubelets must look at the mounted one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voice_operator.reconcile.observed import PodVoices

GRACE_SECONDS = 5.0  # pods ask for the list themselves every two


@dataclass(frozen=True)
class Lack:
    """A list that a pod does not have."""

    generation: int
    since: float  # monotonic


def lacks_of(pods: Iterable[PodVoices], generation: int, known: Mapping[str, Lack], now: float) -> dict[str, Lack]:
    """Return what ready pods lack: those that have an older list, or do not say, and are not marked for this one.

    ``known``: what they lacked at the pass before. A pod that lists which follow one another leave behind is late since
    the first of them.
    """
    found = {}
    for pod in pods:
        if pod.ready and not pod.ending and pod.generation < generation and pod.marked != generation:
            old = known.get(pod.name)
            found[pod.name] = old if old is not None and pod.generation < old.generation else Lack(generation, now)
    return found


def seconds_left(lack: Lack, now: float) -> float:
    """Return for how long a pod may still take the list by itself; 0 or less: it is late."""
    return lack.since + GRACE_SECONDS - now
