"""English abbreviations in full: titles, months, references, and letters with full stops."""

from __future__ import annotations

import re

from sovits_core.text.spans import Rule

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Capt": "Captain", "Gen": "General",
    "Col": "Colonel", "Lt": "Lieutenant", "Rev": "Reverend", "Hon": "Honorable", "Sgt": "Sergeant", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Cmdr": "Commander", "Maj": "Major", "Fr": "Father",
    "Jr": "Junior", "Sr": "Senior", "Ltd": "Limited", "Co": "Company", "Inc": "Incorporated", "Corp": "Corporation",
    "Bros": "Brothers", "Dept": "Department", "Univ": "University", "Assn": "Association", "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Mt": "Mount", "Ft": "Fort", "Apt": "Apartment", "Ste": "Suite",
    "Pkwy": "Parkway", "Hwy": "Highway", "Sq": "Square",
    "vs": "versus", "etc": "et cetera", "approx": "approximately", "dept": "department", "est": "established",
    "govt": "government", "misc": "miscellaneous", "incl": "including", "excl": "excluding", "temp": "temperature",
    "tel": "telephone", "max": "maximum", "min": "minimum", "avg": "average", "orig": "originally", "ave": "avenue",
}  # fmt: skip
# Before a number only.
_REFERENCES = {"no": "number", "nos": "numbers", "p": "page", "pp": "pages", "vol": "volume", "ch": "chapter",
               "fig": "figure", "figs": "figures", "sec": "section", "eq": "equation", "art": "article",
               "ver": "version", "rev": "revision", "fn": "footnote",
               "pt": "part", "ca": "circa", "op": "opus", "para": "paragraph", "ed": "edition",
               "ep": "episode", "rte": "route"}  # fmt: skip
_PHRASES = {"e.g.": "for example", "i.e.": "that is", "a.k.a.": "also known as", "w/o": "without", "w/": "with ",
            "b/c": "because", "aka": "also known as", "et al.": "et al", "cf.": "compare", "N.B.": "note well",
            "R.I.P.": "rest in peace", "P.S.": "P S", "approx.": "approximately", "n/a": "not applicable",
            "N/A": "not applicable", "Ctrl": "control", "c/o": "care of", "and/or": "and or"}  # fmt: skip
_SIDES = {"ft": "feet", "m": "meters", "mi": "miles", "km": "kilometers", "in": "inches", "yd": "yards"}
_NAME_FOLLOWS = r"(?=\s+[A-Z])"


def _title(match: re.Match[str]) -> str:
    name = match[1]
    words = _TITLES.get(name) or _TITLES.get(name.capitalize()) or _TITLES[name.lower()]
    # The full stop of what ends a name may end the sentence too.
    ends = name in {"etc", "Jr", "Sr", "Inc", "Ltd", "Co", "Corp", "Ave", "Blvd", "Rd", "Ln"}
    return words + ("." if ends and _ends_sentence(match) else "")


def _ends_sentence(match: re.Match[str]) -> bool:
    rest = match.string[match.end() :]
    return not rest.strip("\"')\u201d ") or bool(
        re.match(r"\s+[A-Z]\w*\s+(?:is|was|are|were|has|had|will|did)\b", rest)
    )


def _street(match: re.Match[str]) -> str:
    word = {"St": "Street", "Dr": "Drive"}[match[1]]
    return word + ("." if _ends_sentence(match) else "")


def _reference(match: re.Match[str]) -> str:
    words = _REFERENCES[match[1].lower()]
    return words.capitalize() if match[1][0].isupper() else words


def _phrase(match: re.Match[str]) -> str:
    return _PHRASES.get(match[1]) or _PHRASES[match[1].lower()]


def _initials(match: re.Match[str]) -> str:
    letters = match[0].replace(".", "").replace(" ", "").upper()
    spelled = " ".join("Ay" if letter == "A" else letter for letter in letters)
    return spelled + ("." if _ends_sentence(match) else "")


def _square(match: re.Match[str]) -> str:
    ends = match[0].endswith(".") and not match.string[match.end() :].strip()
    return f" square {_SIDES[match[1]]}." if ends else f" sq {match[1]}"


def _alternatives(table: dict[str, str]) -> str:
    return "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))


ABBREVIATIONS = (
    Rule("abbreviation", re.compile(r"(?<=[a-z]\s)v\.(?=\s[A-Z])"), lambda _: "versus", "."),
    Rule("abbreviation", re.compile(r"\bc\.\s?(?=\d{3,4}\b)"), lambda _: "circa ", "."),
    # Units with a full stop, behind a number; at the end of a sentence the stop stays.
    Rule("abbreviation", re.compile(r"(?<=\d)\s?sq\.?\s(ft|m|mi|km|in|yd)\b\.?"), _square, "q"),
    Rule("abbreviation", re.compile(r"(?<=\d)\s?in\.(?=\s[a-z]|,)"), lambda _: " inches", "."),
    Rule(
        "abbreviation",
        re.compile(r"(?<=\d)(\s?(?:ft|lbs?|oz|yd|mi|hrs?|mins?|secs?|gal|pts))\.(?=\s[a-z]|,)"),
        lambda m: m[1],
        ".",
    ),
    Rule("abbreviation", re.compile(rf"(?<![\w.])({_alternatives(_PHRASES)})(?!\w)", re.IGNORECASE), _phrase),
    Rule(
        "abbreviation",
        re.compile(rf"\b({_alternatives(_REFERENCES)})\.\s?(?=\d|[IVXL]+\b)", re.IGNORECASE),
        lambda match: f"{_reference(match)} ",
        ".",
    ),
    Rule(
        "abbreviation",
        re.compile(r"(?<=[a-z\d] )(St|Dr)\.(?!\s+[A-Z][a-z])|(?<=[a-z] )(?:(St|Dr))\b\.?(?=,|\s*$)"),
        lambda match: _street(match) if match[1] else {"St": "Street", "Dr": "Drive"}[match[2]],
    ),
    Rule(
        "abbreviation",
        re.compile(rf"\b(St|Dr)\.?{_NAME_FOLLOWS}"),
        lambda match: {"St": "Saint", "Dr": "Doctor"}[match[1]],
    ),
    Rule("abbreviation", re.compile(r"\b(Dr|St)\."), lambda match: {"St": "Saint", "Dr": "Doctor"}[match[1]], "."),
    Rule(
        "abbreviation",
        re.compile(rf"(?<!\d)(?<!\d )\b(?!(?-i:EST))({_alternatives(_TITLES)})\.", re.IGNORECASE),
        _title,
        ".",
    ),
    Rule("abbreviation", re.compile(r"\b(Mr|Mrs|Ms|Prof)\b(?=\s+[A-Z])"), lambda match: _TITLES[match[1]]),
    Rule(
        "abbreviation",
        re.compile(r"\bPh\.\s?D\.?"),
        lambda match: "P H D" + ("." if _ends_sentence(match) else ""),
        ".",
    ),
    Rule("initials", re.compile(r"(?<![\w.])(?<!\d\s)(?:[A-Za-z]\.){2,}(?!\w)"), _initials, "."),
    Rule(
        "initials",
        re.compile(r"(?<!P )(?<!\bA )(?<!Ay )\b([A-Z])\.(?=\s+[A-Z])"),
        lambda match: "Ay" if match[1] == "A" else match[1],
        ".",
    ),
)
