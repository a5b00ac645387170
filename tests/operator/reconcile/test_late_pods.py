"""Pods that did not take the newest list, by themselves or through their kubelets."""

from dataclasses import replace

import pytest

from voice_operator.reconcile.late_pods import GRACE_SECONDS, Lack, lacks_of, seconds_left
from voice_operator.reconcile.observed import PodVoices

POD = PodVoices("p1", ready=True, generation=6)


@pytest.mark.parametrize(
    ("pod", "lacks"),
    [
        pytest.param(POD, True, id="has an older one"),
        pytest.param(replace(POD, generation=0), True, id="does not answer"),
        pytest.param(replace(POD, generation=7), False, id="has it"),
        pytest.param(replace(POD, generation=8), False, id="has a newer one, of another replica"),
        pytest.param(replace(POD, marked=7), False, id="is marked for it"),
        pytest.param(replace(POD, marked=6), True, id="is marked for an older one"),
        pytest.param(replace(POD, marked=9), True, id="has a mark that somebody else wrote"),
        pytest.param(replace(POD, ready=False), False, id="is not ready: nobody is led there"),
        pytest.param(replace(POD, ending=True), False, id="is ending"),
    ],
)
def test_a_pod_lacks_a_list_that(pod: PodVoices, *, lacks: bool) -> None:
    assert lacks_of([pod], 7, {}, 100.0) == ({"p1": Lack(7, 100.0)} if lacks else {})
    assert lacks_of([pod], 0, {}, 100.0) == {}, "no list was written"


def test_lists_that_follow_one_another_do_not_begin_its_time_anew() -> None:
    first = lacks_of([POD], 7, {}, 100.0)
    assert lacks_of([POD], 8, first, 103.0) == first
    assert lacks_of([replace(POD, generation=7)], 8, first, 103.0) == {"p1": Lack(8, 103.0)}, "it keeps up"
    marked = lacks_of([replace(POD, marked=8)], 8, first, 106.0)
    assert lacks_of([replace(POD, marked=8)], 9, marked, 107.0) == {"p1": Lack(9, 107.0)}, "it was marked meanwhile"


def test_it_is_late_after_a_while() -> None:
    assert seconds_left(Lack(7, 100.0), 101.0) == GRACE_SECONDS - 1
    assert seconds_left(Lack(7, 100.0), 100.0 + GRACE_SECONDS) == 0
