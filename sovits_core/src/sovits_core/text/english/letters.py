"""Letter-to-sound rules for English words that no dictionary has: the longest matching row of letters wins."""

from __future__ import annotations

_VOWELS = frozenset("aeiouy")
# Spelling -> phones without stress. Longer spellings are tried first; "^" marks the start of a word and "$" its end.
_RULES = {
    "^kn": "N", "^gn": "N", "^wr": "R", "^ps": "S", "^x": "Z", "^wh": "W", "^pn": "N", "^mn": "N", "^y": "Y",
    "tion": "SH AH N", "sion": "ZH AH N", "ssion": "SH AH N", "cian": "SH AH N", "tious": "SH AH S", "cious": "SH AH S",
    "tial": "SH AH L", "cial": "SH AH L", "ture": "CH ER", "sure": "ZH ER", "ough": "AO", "augh": "AO", "eigh": "EY",
    "igh": "AY", "ight": "AY T", "tch": "CH", "dge": "JH", "sch": "SH", "ck": "K", "ch": "CH", "sh": "SH", "th": "TH",
    "ph": "F", "gh": "G", "ng": "NG", "nk": "NG K", "qu": "K W", "wh": "W", "sc": "S K", "sce": "S EH", "sci": "S AY",
    "ce": "S EH", "ci": "S IH", "cy": "S IY", "ge": "JH EH", "gi": "JH IH", "gy": "JH IY", "x": "K S", "ti": "T IY",
    "ee": "IY", "ea": "IY", "ie": "IY", "ei": "EY", "ey": "IY", "ai": "EY", "ay": "EY", "oi": "OY", "oy": "OY",
    "oa": "OW", "oo": "UW", "ou": "AW", "ow": "OW", "au": "AO", "aw": "AO", "ue": "UW", "ui": "UW", "ew": "UW",
    "eu": "Y UW", "ia": "IY AH", "io": "IY OW", "ar": "AA R", "er": "ER", "ir": "ER", "ur": "ER", "or": "AO R",
    "ear": "IH R", "air": "EH R", "are": "EH R", "our": "AO R", "ore": "AO R", "ire": "AY ER", "ure": "Y UH R",
    "all": "AO L", "alk": "AO K", "old": "OW L D", "ous$": "AH S", "le$": "AH L", "es$": "Z", "ed$": "D", "e$": "",
    "ce$": "S", "ge$": "JH", "se$": "Z", "y$": "IY", "a$": "AH", "o$": "OW", "i$": "IY", "mb$": "M", "gue$": "G",
    "que$": "K", "ing$": "IH NG", "ism$": "IH Z AH M", "age$": "IH JH", "ic$": "IH K",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "y": "IH", "z": "Z",
}  # fmt: skip
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW", "y": "AY"}
_LONGEST = max(len(spelling) for spelling in _RULES)
_VOWEL_PHONES = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])


def guess(word: str) -> list[str]:
    """Return plausible phones, with stress, of a lower-case word; letters outside a-z are skipped."""
    letters = "".join(letter for letter in word if "a" <= letter <= "z")
    text = f"^{letters}$"
    phones: list[str] = []
    at = 1
    while at < len(text) - 1:
        used, found = _match(text, at)
        phones += found
        at += used
    return _stressed(phones)


def _match(text: str, at: int) -> tuple[int, list[str]]:
    """Return how many letters are used up at this place, and their phones."""
    # A doubled consonant sounds once.
    if text[at] == text[at + 1] and text[at] not in _VOWELS:
        return 1, []
    if _is_long(text, at):
        return 1, [_LONG[text[at]]]
    for size in range(_LONGEST, 0, -1):
        if at == 1 and f"^{text[1 : 1 + size]}" in _RULES:
            return size, _RULES[f"^{text[1 : 1 + size]}"].split()
        spelling = text[at : at + size]
        if len(spelling) == size and spelling in _RULES:
            used = size - 1 if spelling.endswith("$") else size
            return used, _RULES[spelling].split()
    return 1, []


def _is_long(text: str, at: int) -> bool:
    """Tell whether a silent e at the end of the word lengthens this vowel: vowel, one consonant, e, end."""
    rest = text[at:]
    pattern = len(rest) == 4 and rest.endswith("e$")
    return pattern and rest[0] in _LONG and rest[1] not in _VOWELS | {"r", "x", "w"} and text[at - 1] not in _VOWELS


def _stressed(phones: list[str]) -> list[str]:
    """Stress the first vowel; most English words that a dictionary lacks are names, which do so."""
    stressed, mark = [], "1"
    for phone in phones:
        if phone in _VOWEL_PHONES:
            stressed.append(phone + mark)
            mark = "0"
        else:
            stressed.append(phone)
    return stressed
