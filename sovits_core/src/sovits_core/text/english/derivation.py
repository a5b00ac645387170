"""English words that are made of known ones: endings, beginnings, British spellings and compounds."""

from __future__ import annotations

import re

from sovits_core.text.english.dictionary import known
from sovits_core.text.word_lists import word_set

VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_SHORTEST_STEM = 3
_SHORTEST_PART = 4
# Shorter parts that compounds really have; others are syllables of names ("fa-na", "sal-ad").
_SHORT_PARTS = word_set(
    "air all any arm art bag bar bat bed bee big bit bow box boy bug bus car cat cop cow cup cut day dog dot dry ear "
    "egg end eye fan far fat fit fix fly fog fox fun fur gap gas god gun hat hay hen hip hit hop hot ice ink jaw jet "
    "job joy key kid kit lap law leg lid lip log low mad man map men mid mud net new nut oak off oil old one out owl "
    "pad pay pea pen pet pie pig pin pit pop pot rag raw red rib rip rod row rug run saw sea set sex sky sun tab tag "
    "tap tax tea tie tin tip toe top toy tub two van war wax way web wet wig win zip zoo"
)
_MOST_AFFIXES = 3
# Endings that mislead after a word which is itself derived: "photogeolog-y", "underlay-ment".
_AFTER_KNOWN_WORDS = frozenset({"y", "ment"})
_SUFFIXES = {
    "ing": "IH0 NG", "ingly": "IH0 NG L IY0", "ly": "L IY0", "ness": "N AH0 S", "less": "L AH0 S", "ful": "F AH0 L",
    "er": "ER0", "ers": "ER0 Z", "est": "AH0 S T", "able": "AH0 B AH0 L", "ment": "M AH0 N T", "ist": "AH0 S T",
    "ists": "AH0 S T S", "ism": "IH2 Z AH0 M", "ish": "IH0 SH", "y": "IY0", "like": "L AY2 K", "ship": "SH IH2 P",
    "ize": "AY2 Z", "ized": "AY2 Z D", "izing": "AY2 Z IH0 NG", "izer": "AY2 Z ER0", "ization": "AH0 Z EY1 SH AH0 N",
}  # fmt: skip
_PREFIXES = {
    "un": "AH0 N", "re": "R IY0", "non": "N AA0 N", "over": "OW2 V ER0", "pre": "P R IY0", "mis": "M IH0 S",
    "dis": "D IH0 S", "sub": "S AH0 B", "anti": "AE2 N T IY0", "de": "D IY0", "out": "AW2 T", "up": "AH2 P",
    "micro": "M AY2 K R OW0", "macro": "M AE2 K R OW0", "nano": "N AE2 N OW0", "mega": "M EH2 G AH0",
    "giga": "G IH2 G AH0", "tera": "T EH2 R AH0", "peta": "P EH2 T AH0", "kilo": "K IH2 L AH0", "meta": "M EH2 T AH0",
    "multi": "M AH2 L T IY0", "inter": "IH2 N T ER0", "hyper": "HH AY2 P ER0", "super": "S UW2 P ER0",
    "trans": "T R AE2 N Z", "cyber": "S AY2 B ER0", "crypto": "K R IH2 P T OW0", "bio": "B AY2 OW0",
    "neuro": "N UH2 R OW0", "photo": "F OW2 T OW0", "psycho": "S AY2 K OW0", "electro": "IH0 L EH2 K T R OW0",
    "hydro": "HH AY2 D R OW0", "auto": "AO2 T OW0", "tele": "T EH2 L AH0", "omni": "AA2 M N IH0",
    "pseudo": "S UW2 D OW0", "homo": "HH OW2 M OW0", "hetero": "HH EH2 T ER0 OW0", "proto": "P R OW2 T OW0",
    "geo": "JH IY2 OW0", "thermo": "TH ER2 M OW0", "exo": "EH2 K S OW0", "eco": "IY2 K OW0", "semi": "S EH2 M IY0",
    "ultra": "AH2 L T R AH0", "counter": "K AW2 N T ER0", "under": "AH2 N D ER0", "poly": "P AA2 L IY0",
    "infra": "IH2 N F R AH0", "intra": "IH2 N T R AH0", "extra": "EH2 K S T R AH0", "mono": "M AA2 N OW0",
    "socio": "S OW2 S IY0 OW0", "pan": "P AE2 N", "co": "K OW0",
}  # fmt: skip
# What British spelling writes otherwise.
_BRITISH = tuple(
    (re.compile(pattern), american)
    for pattern, american in (
        ("is(e[ds]?|ing|ers?|ations?)$", r"iz\1"),
        ("ys(e[ds]?|ing|ers?)$", r"yz\1"),
        ("our(?=$|s|ed|ing|er|ite|able|ful|less|ly)", "or"),
        ("ll(ed|ing|ers?)$", r"l\1"),
        ("[ao]e", "e"),
        ("ence(?=$|s|less)", "ense"),
        ("tre(s?)$", r"ter\1"),
        ("ogue(s?)$", r"og\1"),
    )
)


def derived(word: str, depth: int = _MOST_AFFIXES) -> list[str] | None:
    """Return the phones of a lower-case word with `depth` endings and beginnings at most on a known word, or None."""
    if not depth:
        return None
    return _american(word) or _inflected(word, depth) or _affixed(word, depth)


def compound(word: str) -> list[str] | None:
    """Return the phones of two known words in one, as even as possible, or None; the second loses its main stress."""
    boundaries = range(_SHORTEST_STEM, len(word) - _SHORTEST_STEM + 1)
    for boundary in sorted(boundaries, key=lambda boundary: abs(2 * boundary - len(word))):
        first, second = _part(word[:boundary]), _part(word[boundary:])
        if first and second:
            return first + [phone.replace("1", "2") for phone in second]
    return None


def _part(word: str) -> list[str] | None:
    return known(word) if len(word) >= _SHORTEST_PART or word in _SHORT_PARTS else None


def plural_of(stem: list[str]) -> list[str]:
    """Return the phones of the s of a plural or a possessive after a word."""
    if stem[-1] in SIBILANTS:
        return ["AH0", "Z"]
    return ["S"] if stem[-1] in VOICELESS else ["Z"]


def _base(word: str, depth: int) -> list[str] | None:
    return known(word) or derived(word, depth - 1)


def _inflected(word: str, depth: int) -> list[str] | None:
    if word.endswith("s") and not word.endswith("ss"):
        stem = _base(word[:-1], depth) or (_base(word[:-2], depth) if word.endswith("es") else None)
        return stem and stem + plural_of(stem)
    if word.endswith("ed") and (stem := _stem(word[:-2], depth)):
        return stem + _past_of(stem)
    return None


def _affixed(word: str, depth: int) -> list[str] | None:
    if word.endswith("ically") and (stem := _base(word[:-4], depth)):
        return [*stem, "L", "IY0"]
    for suffix, phones in _SUFFIXES.items():
        below = 1 if suffix in _AFTER_KNOWN_WORDS else depth
        if word.endswith(suffix) and (stem := _stem(word[: -len(suffix)], below)):
            return _joined(stem, phones.split())
    for prefix, phones in _PREFIXES.items():
        rest = word[len(prefix) :]
        if word.startswith(prefix) and len(rest) >= _SHORTEST_STEM and (stem := _base(rest, depth)):
            return phones.split() + stem
    return None


def _american(word: str) -> list[str] | None:
    for pattern, american in _BRITISH:
        if (respelled := pattern.sub(american, word)) != word and (found := known(respelled)):
            return found
    return None


def _past_of(stem: list[str]) -> list[str]:
    if stem[-1] in {"T", "D"}:
        return ["AH0", "D"]
    return ["T"] if stem[-1] in VOICELESS | {"S", "SH", "CH"} else ["D"]


def _stem(stem: str, depth: int) -> list[str] | None:
    """Read the word an ending was added to: as it stands, with its silent e, its y, or without the doubled letter."""
    if len(stem) < _SHORTEST_STEM:
        return None
    candidates = [stem, f"{stem}e"]
    if stem.endswith("i"):
        candidates.append(f"{stem[:-1]}y")
    if stem[-1] == stem[-2]:
        candidates.append(stem[:-1])
    return next((found for candidate in candidates if (found := _base(candidate, depth))), None)


def _joined(stem: list[str], ending: list[str]) -> list[str]:
    """Add an ending; two equal consonants sound once, and "-ically" loses its middle vowel."""
    if ending[0] == "L" and stem[-4:] == ["AH0", "K", "AH0", "L"]:
        return [*stem[:-4], "IH0", "K", *ending]
    return stem + (ending[1:] if stem[-1] == ending[0] else ending)
