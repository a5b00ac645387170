"""The rules of standard Korean pronunciation (표준 발음법, its articles in brackets), from syllable to syllable."""

from __future__ import annotations

from collections.abc import Callable

from sovits_core.text.korean.letters import Syllable

# Codas that sound as one of seven [8 to 11]; ㅎ and its clusters have rules of their own before that.
_SOUND = {
    "ㄲ": "ㄱ", "ㅋ": "ㄱ", "ㄳ": "ㄱ", "ㄺ": "ㄱ", "ㅅ": "ㄷ", "ㅆ": "ㄷ", "ㅈ": "ㄷ", "ㅊ": "ㄷ",
    "ㅌ": "ㄷ", "ㅎ": "ㄷ", "ㅍ": "ㅂ", "ㅄ": "ㅂ", "ㄿ": "ㅂ", "ㄵ": "ㄴ", "ㄶ": "ㄴ", "ㄼ": "ㄹ",
    "ㄽ": "ㄹ", "ㄾ": "ㄹ", "ㅀ": "ㄹ", "ㄻ": "ㅁ",
}  # fmt: skip
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_ASPIRATED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}
# Two letters below one syllable: what stays, and what a following vowel or ㅎ takes.
_CLUSTERS = {
    "ㄳ": ("ㄱ", "ㅆ"), "ㄵ": ("ㄴ", "ㅈ"), "ㄺ": ("ㄹ", "ㄱ"), "ㄻ": ("ㄹ", "ㅁ"), "ㄼ": ("ㄹ", "ㅂ"),
    "ㄽ": ("ㄹ", "ㅆ"), "ㄾ": ("ㄹ", "ㅌ"), "ㄿ": ("ㄹ", "ㅍ"), "ㅄ": ("ㅂ", "ㅆ"),
}  # fmt: skip
_WITH_H = {"ㅎ": "", "ㄶ": "ㄴ", "ㅀ": "ㄹ"}
_PALATAL = {"ㄷ": ("", "ㅈ"), "ㅌ": ("", "ㅊ"), "ㄾ": ("ㄹ", "ㅊ")}
# Stems in these tense the consonant of an ending [24, 25].
_TENSING_STEMS = frozenset(["ㄴ", "ㄵ", "ㅁ", "ㄻ", "ㄼ", "ㄾ"])

Rule = Callable[[Syllable, Syllable, bool], None]


def pronounce(items: list[Syllable | str]) -> list[Syllable | str]:
    """Change syllables to how they sound, in place; a space between two is bridged, punctuation is not."""
    for item in items:
        if isinstance(item, Syllable):
            _vowel(item)
    for place, here in enumerate(items):
        if isinstance(here, Syllable):
            after, gap = _following(items, place)
            if after is not None:
                for rule in RULES:
                    rule(here, after, gap)
            # At the end of a phrase nothing else happens to the coda.
            here.coda = _SOUND.get(here.coda, here.coda)
    return items


def _following(items: list[Syllable | str], place: int) -> tuple[Syllable | None, bool]:
    """Return the next syllable, if one follows directly or after a single space, and whether there is that space."""
    for gap in (False, True):
        after = items[place + 1 + gap] if place + 1 + gap < len(items) else None
        if isinstance(after, Syllable):
            return after, gap
        if after != " ":
            break
    return None, False


def _sound(syllable: Syllable) -> str:
    """Return how a coda sounds before a consonant; the stem 밟 has its second letter there [10]."""
    if (syllable.onset, syllable.nucleus, syllable.coda) == ("ㅂ", "ㅏ", "ㄼ"):
        return "ㅂ"
    return _SOUND.get(syllable.coda, syllable.coda)


def _vowel(syllable: Syllable) -> None:
    """져, 쪄, 쳐 sound as 저, 쩌, 처, and ㅢ after a consonant as ㅣ [5]."""
    if syllable.nucleus == "ㅕ" and syllable.onset in "ㅈㅉㅊ":
        syllable.nucleus = "ㅓ"
    if syllable.nucleus == "ㅢ" and syllable.onset != "ㅇ":
        syllable.nucleus = "ㅣ"


def _before_word(here: Syllable, after: Syllable, gap: bool) -> None:
    """Before a vowel that begins a word of its own a coda sounds as at the end of a phrase: 겉옷, 밭 아래 [15]."""
    if after.onset == "ㅇ" and (after.starts_word or gap) and here.coda not in _WITH_H:
        here.coda = _SOUND.get(here.coda, here.coda)


def _palatalised(here: Syllable, after: Syllable, gap: bool) -> None:
    """ㄷ and ㅌ before 이 sound as ㅈ and ㅊ, and ㄷ before 히 as ㅊ [17]."""
    if gap or after.starts_word or after.nucleus not in "ㅣㅕ" or here.coda not in _PALATAL:
        return
    if after.onset == "ㅇ":
        here.coda, after.onset = _PALATAL[here.coda]
    elif after.onset == "ㅎ" and here.coda == "ㄷ":
        here.coda, after.onset = "", "ㅊ"
    _vowel(after)


def _aspirated(here: Syllable, after: Syllable, gap: bool) -> None:
    """ㅎ joins its neighbour to one aspirated sound, tenses ㅅ, and falls silent before a vowel [12]."""
    if here.coda in _WITH_H:
        if after.onset in _ASPIRATED:
            here.coda, after.onset = _WITH_H[here.coda], _ASPIRATED[after.onset]
        elif after.onset == "ㅅ":
            here.coda, after.onset = _WITH_H[here.coda], "ㅆ"
        elif after.onset == "ㅇ" and not gap:
            here.coda = _WITH_H[here.coda]
    elif after.onset == "ㅎ" and here.coda:
        kept, moved = _CLUSTERS.get(here.coda, ("", here.coda))
        moved = moved if moved == "ㅈ" and not gap else _SOUND.get(moved, moved)
        if here.coda in {"ㄳ", "ㅄ"}:  # their ㅅ is silent before a consonant
            kept, moved = "", kept
        if moved in _ASPIRATED:
            here.coda, after.onset = kept, _ASPIRATED[moved]


def _linked(here: Syllable, after: Syllable, gap: bool) -> None:
    """A coda becomes the onset of a following vowel; of two letters the second moves [13, 14]."""
    if gap or after.onset != "ㅇ" or here.coda in {"", "ㅇ"}:
        return
    here.coda, after.onset = _CLUSTERS.get(here.coda, ("", here.coda))
    here.ends_stem = False  # what stays of a cluster tenses nothing: 앉아


def _tensed(here: Syllable, after: Syllable, gap: bool) -> None:
    """After a stopped coda, some stems, and the ㄹ of a verb's form, a plain consonant is tense [11, 23 to 25, 27]."""
    if after.onset not in _TENSE:
        return
    if here.ends_stem and not gap and here.coda == "ㄺ" and after.onset == "ㄱ":
        here.coda, after.onset = "ㄹ", "ㄲ"
    stem = here.ends_stem and not gap and here.coda in _TENSING_STEMS and after.onset != "ㅂ"
    stopped = _sound(here) in _NASAL
    if stem or stopped or (here.before_noun and here.coda == "ㄹ"):
        after.onset = _TENSE[after.onset]


def _assimilated(here: Syllable, after: Syllable, gap: bool) -> None:
    """Neighbouring ㄴ, ㅁ and ㄹ colour one another and the stops before them [18 to 20]."""
    here.coda = _sound(here)
    if after.onset == "ㄹ" and here.coda in {"ㄱ", "ㄷ", "ㅂ", "ㅁ", "ㅇ"}:
        after.onset = "ㄴ"
    if after.onset in {"ㄴ", "ㅁ"} and here.coda in _NASAL:
        here.coda = _NASAL[here.coda]
    if {here.coda, after.onset} == {"ㄴ", "ㄹ"} and not (gap and here.object_marker):
        here.coda = after.onset = "ㄹ"


# In this order: each rule sees what the ones before it left.
RULES: tuple[Rule, ...] = (_before_word, _palatalised, _aspirated, _linked, _tensed, _assimilated)
