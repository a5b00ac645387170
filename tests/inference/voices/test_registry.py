"""Which voice a name means, and what is served while things change."""

from typing import Any

import pytest

from voice_inference.bundles.base import Base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.errors import AmbiguousVoice, UnknownVoice, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoices
from voice_inference.voices.registry import VoiceRegistry


def desired(base: Base, *voices: VoiceReference, generation: int = 1) -> DesiredVoices:
    return DesiredVoices.model_validate(
        {
            "schema": "voice.sovits.dev/desired-voices/v1",
            "generation": generation,
            "base": base.reference,
            "voices": voices,
        }
    )


class Case:
    """Loaded voices by id and number."""

    def __init__(self, make_bundle: Any, base: Base) -> None:
        self._make_bundle = make_bundle
        self.base = base
        self.registry = VoiceRegistry(Metrics())

    def load(self, voice_id: str, number: int = 1) -> Voice:
        bundle = self._make_bundle(voice_id, number)
        return load_voice(bundle.folder, bundle.seal(), self.base)

    def update(self, *voices: Voice) -> None:
        self.registry.update(desired(self.base, *(voice.reference for voice in voices)))

    def states(self) -> dict[str, str]:
        return {entry.desired.id: entry.state for entry in self.registry}


@pytest.fixture
def case(make_bundle: Any, base: Base) -> Case:
    return Case(make_bundle, base)


def test_a_bare_name_is_enough_while_one_namespace_has_it(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(alice)
    case.registry.promote(alice)
    assert case.registry.find("alice") is case.registry.find("studio/alice") is alice


def test_a_bare_name_of_two_namespaces_is_ambiguous_and_the_full_ones_are_not(case: Case) -> None:
    ours, theirs = case.load("studio/alice"), case.load("other/alice")
    case.update(ours, theirs)
    case.registry.promote(ours)
    case.registry.promote(theirs)
    assert case.registry.find("other/alice") is theirs
    with pytest.raises(AmbiguousVoice, match="other/alice, studio/alice"):
        case.registry.find("alice")


def test_an_unknown_name_is_answered_with_at_most_ten_known_ones(case: Case) -> None:
    case.update(*[case.load(f"studio/voice{number:02d}") for number in range(12)])
    with pytest.raises(UnknownVoice) as refused:
        case.registry.find("nobody")
    assert str(refused.value).count("studio/") == 10
    assert "2 more" in str(refused.value)


def test_a_voice_that_is_not_loaded_yet_says_why(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(alice)
    with pytest.raises(VoiceNotReady, match="being loaded"):
        case.registry.find("alice")
    case.registry.record_error(alice.reference, "the store is away")
    with pytest.raises(VoiceNotReady, match="the store is away"):
        case.registry.find("alice")


def test_the_old_revision_serves_until_the_new_one_is_there_even_if_that_fails(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(old)
    case.registry.promote(old)
    case.update(new)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "loading"}, old)
    case.registry.record_error(new.reference, "broken")
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "failed"}, old)
    case.registry.promote(new)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "ready"}, new)


def test_a_voice_that_is_no_longer_desired_is_gone_and_cannot_come_back(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(old)
    case.registry.promote(old)
    case.update()
    with pytest.raises(UnknownVoice):
        case.registry.find("alice")
    assert not case.registry.promote(old)
    case.update(new)
    assert not case.registry.promote(old)  # a slow load of an earlier revision


def test_a_new_base_leaves_the_voices_of_the_old_one_in_service(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(alice)
    case.registry.promote(alice)
    new_base = BaseReference(name="new", uri="embedded:new")
    document = desired(case.base, alice.reference)
    case.registry.update(document.model_copy(update={"base": new_base}))
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "loading"}, alice)
    case.registry.record_base_error(new_base, "not there")
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "failed"}, alice)


def test_ready_means_that_every_voice_was_attempted_and_one_is_loaded(case: Case) -> None:
    alice, bob = case.load("studio/alice"), case.load("studio/bob")
    case.update(alice, bob)
    case.registry.record_base_loaded()
    case.registry.record_error(bob.reference, "broken")
    assert not case.registry.ready
    case.registry.record_error(alice.reference, "broken")
    assert not case.registry.ready
    case.registry.promote(alice)
    assert case.registry.ready
    case.update(case.load("studio/carol"))
    assert case.registry.ready


def test_a_server_without_voices_is_ready_when_its_base_is_loaded(case: Case) -> None:
    case.update()
    assert not case.registry.ready
    case.registry.record_base_loaded()
    assert case.registry.ready
