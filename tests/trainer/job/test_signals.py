"""SIGTERM: it interrupts at once, or where the stage says that state is consistent."""

import os
import signal
from collections.abc import Iterator

import pytest

from voice_trainer.errors import Interrupted
from voice_trainer.job.signals import TerminationSignal


@pytest.fixture
def termination() -> Iterator[TerminationSignal]:
    before = signal.getsignal(signal.SIGTERM)
    handler = TerminationSignal()
    handler.install_handler()
    yield handler
    signal.signal(signal.SIGTERM, before)


def test_sigterm_interrupts_at_once(termination: TerminationSignal) -> None:
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_deferred_sigterm_interrupts_at_the_end_of_the_block(termination: TerminationSignal) -> None:
    reached = False
    with pytest.raises(Interrupted), termination.deferred():  # noqa: PT012 -- that the block goes on is the point
        os.kill(os.getpid(), signal.SIGTERM)
        reached = termination.received()
    assert reached
