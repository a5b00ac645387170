"""Which voice a name means, and what is served while things change."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from sovits_core.bundle.base import LexiconWord
from voice_inference.bundles.base import Base
from voice_inference.bundles.references import BaseReference
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.errors import ConsentEnded, RevisionNotLoaded, UnknownRevision, UnknownVoice, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoice, DesiredVoices, Revision
from voice_inference.voices.registry import VoiceRegistry


def revision(voice: Voice) -> Revision:
    return Revision(**voice.reference.model_dump(), base=voice.base.reference)


def entry(
    voice: Voice, *, following: Voice | None = None, before: Voice | None = None, expires: date | None = None
) -> DesiredVoice:
    return DesiredVoice(
        **voice.reference.model_dump(),
        base=voice.base.reference,
        generation=1,
        expires=expires,
        next=revision(following) if following else None,
        previous=revision(before) if before else None,
    )


class Case:
    """A registry, and real voices for it."""

    def __init__(self, make_bundle: Any, base: Base, clock: Any) -> None:
        self._make_bundle = make_bundle
        self.base = base
        self.clock = clock
        self.registry = VoiceRegistry(Metrics(), clock, bare_names="studio")

    def load(self, voice_id: str, number: int = 1, *, base: Base | None = None) -> Voice:
        bundle = self._make_bundle(voice_id, number)
        return load_voice(bundle.folder, bundle.seal(), base or self.base)

    def another_base(self, name: str) -> Base:
        return replace(self.base, reference=BaseReference(name=name, uri=f"embedded:{name}"))

    def update(self, *voices: Voice | DesiredVoice, base: BaseReference | None = None) -> None:
        entries = tuple(entry(voice) if isinstance(voice, Voice) else voice for voice in voices)
        self.registry.update(DesiredVoices(1, base or self.base.reference, entries))

    def states(self) -> dict[str, str]:
        return {entry.desired.id: entry.current.state for entry in self.registry}

    def state_of_next(self, voice_id: str) -> str | None:
        found = {entry.desired.id: entry.next for entry in self.registry}[voice_id]
        return found.state if found else None


@pytest.fixture
def case(make_bundle: Any, base: Base, clock: Any) -> Case:
    return Case(make_bundle, base, clock)


def test_a_bare_name_means_the_voice_of_one_namespace_whoever_else_has_the_name(case: Case) -> None:
    ours, theirs = case.load("studio/alice"), case.load("other/alice")
    case.update(ours, theirs)
    case.registry.record_voice(ours)
    case.registry.record_voice(theirs)
    assert case.registry.find("alice") is case.registry.find("studio/alice") is ours
    assert case.registry.find("other/alice") is theirs
    case.update(theirs)
    with pytest.raises(UnknownVoice, match="'alice'; no voice of studio is served here"):
        case.registry.find("alice")


def test_without_a_namespace_for_them_bare_names_mean_nothing(case: Case) -> None:
    registry = VoiceRegistry(Metrics(), case.clock)
    alice = case.load("studio/alice")
    registry.update(DesiredVoices(1, case.base.reference, (entry(alice),)))
    registry.record_voice(alice)
    assert registry.find("studio/alice") is alice
    with pytest.raises(UnknownVoice, match="'alice'; name it with its namespace"):
        registry.find("alice")


def test_an_unknown_name_is_answered_with_at_most_ten_known_ones(case: Case) -> None:
    case.update(*[case.load(f"studio/voice{number:02d}") for number in range(12)])
    with pytest.raises(UnknownVoice) as refused:
        case.registry.find("nobody")
    assert str(refused.value).count("studio/") == 10
    assert "2 more" in str(refused.value)


def test_an_unknown_name_is_answered_without_voices_of_other_namespaces(case: Case) -> None:
    case.update(case.load("studio/alice"), case.load("other/secret"))
    for name, namespace in (("studio/bob", "studio"), ("bob", "studio"), ("third/alice", "third")):
        with pytest.raises(UnknownVoice) as refused:
            case.registry.find(name)
        assert "secret" not in str(refused.value)
        assert namespace in str(refused.value)
    with pytest.raises(UnknownVoice, match="known voices of studio: studio/alice"):
        case.registry.find("studio/bob")


def test_a_voice_that_is_not_loaded_yet_says_why(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(alice)
    with pytest.raises(VoiceNotReady, match="being loaded"):
        case.registry.find("alice")
    case.registry.record_error(revision(alice), "the store is away")
    with pytest.raises(VoiceNotReady, match="the store is away"):
        case.registry.find("alice")


def test_the_old_revision_serves_until_the_new_one_is_there_even_if_that_fails(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(old)
    case.registry.record_voice(old)
    case.update(new)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "loading"}, old)
    case.registry.record_error(revision(new), "broken")
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "failed"}, old)
    case.registry.record_voice(new)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "ready"}, new)


def test_a_way_back_to_the_revision_that_still_serves_loads_nothing(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(old)
    case.registry.record_voice(old)
    case.update(new)
    case.registry.record_error(revision(new), "broken")
    case.update(old)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "ready"}, old)


def serve(case: Case, voice: Voice, *, before: Voice | None = None) -> None:
    case.update(entry(voice, before=before))
    case.registry.record_base(case.base)
    case.registry.record_voice(voice)


def test_the_revision_that_the_list_names_as_the_previous_one_speaks_by_its_own_name_alone(case: Case) -> None:
    first, second, third = (case.load("studio/alice", number) for number in (1, 2, 3))
    registry = case.registry
    serve(case, first)
    serve(case, second, before=first)
    assert registry.find("alice") is registry.find("studio/alice@alice-2") is second
    assert registry.find("alice@alice-1") is first, "it was served a moment ago"
    assert not registry.missing("previous")
    assert first.reference.digest in registry.digests(), "its files stay"
    serve(case, third, before=second)
    assert registry.find("alice@alice-2") is second
    for name in ("alice@alice-1", "studio/alice@", "alice@alice-2@alice-2"):
        with pytest.raises(UnknownRevision, match=r"of studio/alice here; these speak: alice-3, alice-2\."):
            registry.find(name)
    assert first.reference.digest not in registry.digests()


def test_a_revision_that_the_list_names_no_longer_does_not_speak(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    serve(case, first)
    serve(case, second, before=first)
    assert case.registry.find("alice@alice-1") is first
    case.update(second)
    with pytest.raises(UnknownRevision, match=r"these speak: alice-2\."):
        case.registry.find("alice@alice-1")
    assert first.reference.digest not in case.registry.digests()


def test_a_list_of_an_earlier_operator_names_no_previous_revision_and_none_is_remembered(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    serve(case, first)
    serve(case, second)
    with pytest.raises(UnknownRevision, match=r"these speak: alice-2\."):
        case.registry.find("alice@alice-1")


def test_a_pod_that_never_served_the_previous_revision_loads_it_once_it_is_asked_for(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    registry = case.registry
    serve(case, second, before=first)
    assert not registry.missing("previous"), "nobody has asked"
    assert first.reference.digest not in registry.digests()
    with pytest.raises(RevisionNotLoaded):
        registry.find("alice@alice-1")
    assert registry.missing("previous") == [revision(first)]
    assert first.reference.digest in registry.digests()
    case.update(entry(second, before=first, expires=date(2099, 1, 1)))
    assert registry.missing("previous") == [revision(first)], "another list changes nothing about it"
    registry.record_error(revision(first), "the store is away")
    with pytest.raises(VoiceNotReady, match=r"alice-1 of studio/alice cannot be loaded: the store is away\."):
        registry.find("alice@alice-1")
    registry.record_voice(first)
    assert registry.find("alice@alice-1") is first
    assert (registry.find("alice"), registry.missing("previous")) == (second, [])


def test_a_way_back_to_the_previous_revision_loads_nothing(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    serve(case, first)
    serve(case, second, before=first)
    case.update(entry(first, before=second))
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "ready"}, first)
    assert case.registry.find("alice@alice-2") is second


def test_a_way_back_to_a_previous_revision_that_nobody_asked_for_loads_it(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    serve(case, second, before=first)
    case.update(entry(second, following=first))
    assert case.registry.missing("next") == [revision(first)]


def test_a_revision_beside_does_not_speak_by_any_name(case: Case) -> None:
    first, second = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(entry(first, following=second))
    case.registry.record_voice(first)
    case.registry.record_voice(second)
    with pytest.raises(UnknownRevision, match=r"these speak: alice-1\."):
        case.registry.find("alice@alice-2")


def test_a_previous_revision_goes_with_its_voice(case: Case) -> None:
    first, second = case.load("studio/bob", 1), case.load("studio/bob", 2)
    serve(case, first)
    serve(case, second, before=first)
    case.update(case.load("studio/carol"))
    assert not case.registry.digests() & {one.reference.digest for one in (first, second)}
    with pytest.raises(UnknownVoice):
        case.registry.find("bob@bob-1")


def test_a_previous_revision_ends_with_the_consent_that_its_bundle_has(case: Case) -> None:
    today = case.clock.now.date()
    first = replace(case.load("studio/alice", 1), expires=today - timedelta(days=1))
    second = case.load("studio/alice", 2)
    registry = case.registry
    for voice, before in ((first, None), (second, first)):
        named = entry(voice, before=before).model_dump(exclude={"expires"})
        case.update(DesiredVoice.model_validate(named))
        registry.record_voice(voice)
    assert registry.find("alice") is second
    with pytest.raises(ConsentEnded):
        registry.find("alice@alice-1")


def test_whoever_may_not_use_a_voice_learns_of_no_revision(case: Case) -> None:
    serve(case, case.load("studio/alice", 2), before=case.load("studio/alice", 1))
    for name in ("studio/alice@alice-1", "studio/alice@alice-9", "studio/nobody@alice-1"):
        with pytest.raises(UnknownVoice) as refused:
            case.registry.find(name, lambda _: False)
        assert str(refused.value) == f"There is no voice {name!r}; no voice of studio is served here."


def test_readings_are_those_of_the_list_and_load_nothing(case: Case) -> None:
    voice = case.load("studio/alice")
    case.update(voice)
    case.registry.record_voice(voice)
    word = LexiconWord(word="gif", reading="JH IH1 F")
    case.update(entry(voice).model_copy(update={"lexicon": (word,)}))
    assert case.states() == {"studio/alice": "ready"}
    found = case.registry.find("studio/alice")
    assert found.lexicon.readings("en") == {"gif": ("JH", "IH1", "F")}
    assert found.prompt is voice.prompt
    case.update(voice)
    assert not case.registry.find("studio/alice").lexicon


def test_a_voice_that_is_no_longer_desired_is_gone_and_cannot_come_back(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(old)
    case.registry.record_voice(old)
    case.update()
    with pytest.raises(UnknownVoice):
        case.registry.find("alice")
    case.registry.record_voice(old)  # a slow load
    with pytest.raises(UnknownVoice):
        case.registry.find("alice")
    case.update(new)
    case.registry.record_voice(old)
    with pytest.raises(VoiceNotReady):
        case.registry.find("alice")


def test_a_copy_of_the_same_bytes_elsewhere_is_loaded_already(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(alice)
    case.registry.record_base(case.base)
    case.registry.record_voice(alice)
    moved = case.base.reference.model_copy(update={"uri": "s3://mirror/bases/tiny"})
    case.update(entry(alice).model_copy(update={"uri": "s3://mirror/alice", "base": moved}), base=moved)
    assert case.registry.missing("current") == []
    assert case.registry.find("alice") is alice


def test_what_comes_next_is_held_and_not_served(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(entry(old, following=new))
    case.registry.record_voice(old)
    assert case.state_of_next("studio/alice") == "loading"
    case.registry.record_voice(new)
    assert case.state_of_next("studio/alice") == "ready"
    assert case.registry.find("alice") is old
    assert case.states() == {"studio/alice": "ready"}


def test_a_next_revision_that_is_loaded_serves_from_the_update_on_that_names_it(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(entry(old, following=new))
    case.registry.record_base(case.base)
    case.registry.record_voice(old)
    case.registry.record_voice(new)
    case.update(entry(new, before=old))
    assert case.registry.find("alice") is new
    assert case.registry.missing("current") == []
    case.update(entry(new, following=old))  # it is still there, as the one before
    assert (case.state_of_next("studio/alice"), case.registry.missing("next")) == ("ready", [])


def test_a_next_revision_that_fails_leaves_the_served_one_ready(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.update(entry(old, following=new))
    case.registry.record_voice(old)
    case.registry.record_error(revision(new), "broken")
    assert (case.states(), case.state_of_next("studio/alice")) == ({"studio/alice": "ready"}, "failed")
    assert case.registry.find("alice") is old


def test_a_next_revision_that_is_named_no_longer_is_dropped(case: Case) -> None:
    old, new = case.load("studio/alice", 1), case.load("studio/alice", 2)
    case.registry.record_base(case.base)
    case.update(entry(old, following=new))
    case.registry.record_voice(new)
    case.update(old)
    assert case.state_of_next("studio/alice") is None
    case.update(entry(old, following=new))
    assert case.state_of_next("studio/alice") == "loading"


def test_the_voices_of_an_old_base_serve_until_the_new_one_is_loaded(case: Case) -> None:
    alice, new_base = case.load("studio/alice"), case.another_base("new")
    case.update(alice)
    case.registry.record_base(case.base)
    case.registry.record_voice(alice)
    moved = entry(alice).model_copy(update={"base": new_base.reference})
    case.update(moved, base=new_base.reference)
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "loading"}, alice)
    case.registry.record_base_error(new_base.reference, "not there")
    assert (case.states(), case.registry.find("alice")) == ({"studio/alice": "failed"}, alice)
    assert case.registry.base_error == "the base new cannot be loaded: not there"
    case.registry.record_base(new_base)
    assert (case.states(), case.registry.base_error) == ({"studio/alice": "loading"}, "")
    assert case.registry.loaded_base(case.base.reference) is case.base


def test_bases_are_missing_until_loaded_and_dropped_once_nothing_needs_them(case: Case) -> None:
    ours, theirs, third = case.base, case.another_base("theirs"), case.another_base("third")
    alice, bob = case.load("studio/alice"), case.load("studio/bob", base=theirs)
    new_bob = case.load("studio/bob", 2, base=third)
    case.update(alice, entry(bob, following=new_bob))
    assert case.registry.missing("current") == [ours.reference, theirs.reference]
    assert case.registry.missing("next") == [third.reference]
    for base in (ours, theirs, third):
        case.registry.record_base(base)
    assert case.registry.missing("current") == [entry(alice), entry(bob, following=new_bob)]
    assert case.registry.missing("next") == [revision(new_bob)]
    case.registry.record_voice(bob)
    case.registry.record_voice(new_bob)
    case.update(alice, new_bob)
    assert case.registry.loaded_base(theirs.reference) is None
    assert case.registry.loaded_base(third.reference) is third
    case.update()
    assert case.registry.loaded_base(third.reference) is None
    assert case.registry.loaded_base(ours.reference) is ours


def test_a_base_that_cannot_be_loaded_fails_only_its_own_voices(case: Case) -> None:
    broken = case.another_base("broken")
    alice, bob = case.load("studio/alice"), case.load("studio/bob", base=broken)
    case.update(alice, bob)
    case.registry.record_base(case.base)
    case.registry.record_base_error(broken.reference, "not there")
    case.registry.record_voice(alice)
    assert case.states() == {"studio/alice": "ready", "studio/bob": "failed"}
    assert case.registry.ready
    case.update(alice, bob, case.load("studio/carol", base=broken))
    assert case.states()["studio/carol"] == "failed"


def test_ready_means_that_every_voice_was_attempted_and_one_is_loaded(case: Case) -> None:
    alice, bob = case.load("studio/alice"), case.load("studio/bob")
    case.update(entry(alice, following=case.load("studio/alice", 2)), bob)
    case.registry.record_base(case.base)
    case.registry.record_error(revision(bob), "broken")
    assert not case.registry.ready
    case.registry.record_error(revision(alice), "broken")
    assert not case.registry.ready
    case.registry.record_voice(alice)
    assert case.registry.ready  # whatever comes next
    case.update(case.load("studio/carol"))
    assert case.registry.ready


def test_a_server_without_voices_is_ready_when_its_base_is_loaded(case: Case) -> None:
    case.update()
    assert not case.registry.ready
    case.registry.record_base(case.base)
    assert case.registry.ready


def test_a_server_without_voices_and_base_is_ready(case: Case) -> None:
    assert not case.registry.ready
    case.registry.update(DesiredVoices(1, None, ()))
    assert case.registry.ready


LAST_DAY = date(2027, 11, 1)


@pytest.mark.parametrize(
    ("now", "served"),
    [
        pytest.param(datetime(2027, 11, 1, 23, 59, 59, tzinfo=UTC), True, id="the last second of the last day"),
        pytest.param(datetime(2027, 11, 2, tzinfo=UTC), False, id="midnight"),
        pytest.param(
            datetime(2027, 11, 2, 1, tzinfo=timezone(timedelta(hours=9))),
            True,
            id="the day counts in UTC, not in Japan",
        ),
    ],
)
def test_a_consent_holds_to_the_end_of_its_last_day(case: Case, now: datetime, *, served: bool) -> None:
    alice, bob = case.load("studio/alice"), case.load("studio/bob")
    case.update(entry(alice, expires=LAST_DAY), bob)
    case.registry.record_voice(alice)
    assert case.registry.find("alice") is alice
    case.clock.now = now  # and nothing else happens
    assert ("studio/alice" in case.states()) == served
    for name in ("alice", "studio/alice"):
        if served:
            assert case.registry.find(name) is alice
        else:
            with pytest.raises(ConsentEnded, match=r"'studio/alice'.*ended on 2027-11-01"):
                case.registry.find(name)


def test_a_voice_whose_consent_has_ended_is_neither_loaded_nor_waited_for(case: Case) -> None:
    case.clock.now = datetime(2027, 11, 2, tzinfo=UTC)
    old, new, theirs = case.load("studio/alice", 1), case.load("studio/alice", 2), case.another_base("theirs")
    case.registry.record_base(case.base)
    case.update(entry(old, following=new, expires=LAST_DAY), entry(case.load("b/bob", base=theirs), expires=LAST_DAY))
    case.registry.record_base(case.base)
    assert case.registry.missing("current") == case.registry.missing("next") == []
    assert case.registry.ready
    case.registry.record_voice(old)  # a load that began the day before
    with pytest.raises(ConsentEnded):
        case.registry.find("alice")


def test_a_bare_name_whose_consent_has_ended_means_no_other_voice(case: Case) -> None:
    ours, theirs = case.load("studio/alice"), case.load("other/alice")
    case.update(entry(ours, expires=LAST_DAY), theirs)
    case.registry.record_voice(theirs)
    case.clock.now = datetime(2027, 11, 2, tzinfo=UTC)
    with pytest.raises(ConsentEnded):
        case.registry.find("alice")


def test_a_longer_consent_brings_the_voice_back(case: Case) -> None:
    alice = case.load("studio/alice")
    case.update(entry(alice, expires=LAST_DAY))
    case.clock.now = datetime(2027, 11, 2, tzinfo=UTC)
    case.update(entry(alice, expires=date(2028, 11, 1)))
    case.registry.record_voice(alice)
    assert case.registry.find("alice") is alice


def test_a_bundle_whose_consent_has_ended_is_not_served_unless_its_entry_says_otherwise(case: Case, clock: Any) -> None:
    alice = replace(case.load("studio/alice"), expires=date(2020, 1, 1))
    silent = DesiredVoice(**alice.reference.model_dump(), base=alice.base.reference, generation=1)
    case.update(silent)
    case.registry.record_voice(alice)
    with pytest.raises(ConsentEnded, match="2020-01-01"):
        case.registry.find("alice")
    case.update(entry(alice))  # it says: without end, because the consent was renewed
    assert case.registry.find("alice") is alice


def test_the_day_of_the_last_request_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = case.load("studio/alice"), case.load("studio/bob")
    case.update(alice, bob)
    case.registry.record_voice(alice)
    today = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    monkeypatch.setattr(case.registry, "_clock", lambda: today)
    assert case.registry.last_used("studio/alice") is None
    case.registry.find("alice")
    with pytest.raises(VoiceNotReady):
        case.registry.find("studio/bob")
    assert case.registry.last_used("studio/alice") == date(2026, 11, 23)
    assert case.registry.last_used("studio/bob") is None, "nobody got an answer"
    case.update(bob)
    assert case.registry.last_used("studio/alice") == date(2026, 11, 23), "a voice may come back"
    monkeypatch.setattr(case.registry, "_clock", lambda: today + timedelta(days=1))
    case.update(bob)
    assert case.registry.last_used("studio/alice") is None
