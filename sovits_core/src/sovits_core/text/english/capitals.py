"""Capitals in English text: acronyms, Roman numerals, and words put together of several."""

from __future__ import annotations

import re

from sovits_core.text import roman
from sovits_core.text.english.dictionary import is_known
from sovits_core.text.english.numbers import cardinal, ordinal
from sovits_core.text.spans import Rule, SpannedText
from sovits_core.text.word_lists import word_set

_ROMAN = r"(M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))"
_NUMBERED = (
    "chapter|part|act|scene|volume|vol|book|section|article|war|phase|type|stage|level|grade|class|round|bowl|figure|"
    "table|appendix|episode|season|title|unit|group|category|division|schedule|annex|module|step|lesson|mark|panel|"
    "item|theorem|lemma|tier|zone|region|line|century|generation|version|series|edition|apollo|rocky|rambo|factor"
)
_MONARCHS = (
    "Henry|Louis|Elizabeth|George|Edward|Richard|Charles|James|William|Philip|Benedict|Paul|Pius|Leo|Mary|Francis|"
    "Frederick|Wilhelm|Ptolemy|Ramses|Ramesses|Cleopatra|Felipe|Carlos|"
    "Catherine|Peter|Alexander|Nicholas|Ivan|Napoleon|"
    "Gregory|Clement|Innocent|Urban|Julius|Thutmose|Amenhotep|Albert|Alfonso|Ferdinand|Gustav|Christian|Margaret|"
    "Harald|Otto|Leopold|Rudolf|Joseph|Maximilian|Edmund|Robert|David|Constantine|Darius|Xerxes|Mehmed|Murad|"
    "Pope|King|Queen|Tsar|Emperor|Baldwin|Philippe|Isabella|Baudouin|Umberto|Victor|Emmanuel|Sixtus|Boniface|Adrian"
)
# Capitals that are words of their own, however short.
_WORDS = word_set(
    "NASA NATO COVID RAM ROM PIN SIM LAN WAN GIF JPEG JSON YAML CAPTCHA "
    "SQL GUI UNESCO UNICEF OPEC FIFA UEFA ASEAN AIDS "
    "SARS LASER RADAR SCUBA SWAT POTUS FOMO YOLO LEGO IKEA FEMA OSHA "
    "NAFTA MIDI BIOS CRISPR GNOME ZIP RADIO SPAM VISA"
)
_SAID = {"JPEG": "jay peg", "IEEE": "I triple E", "ISBN": "I S B N"}
_MIXED_WORDS = {"PhD": "P H D", "IoT": "I O T", "PostgreSQL": "post gress", "LLaMA": "lama", "DevOps": "dev ops",
                "eBay": "E bay", "PyPI": "pypi", "iOS": "ios", "macOS": "macos", "WiFi": "wifi",
                "LaTeX": "latex"}  # fmt: skip
# Words in capitals for emphasis: two and three letters that are no abbreviation.
_EMPHASISED = word_set("NOT AND THE ALL YOU CAN NOW BUT ANY ONE TWO NEW BIG TOP WHY "
    "HOW YES NO SO DO GO IF OR ON IN IS BE MY ME WE HE UP OUT "
    "OFF BAD HIS HER HIM SHE OUR HAS HAD GET GOT LET SAY SEE WAY "
    "DAY MAN MEN BOY GIRL OLD TOO ITS TRY USE WAS ARE DID FOR "
    "FROM EAT RUN RED HOT FUN OWN PUT SAD BUY PAY END BED CAR CAT "
    "DOG BIT YET FEW LOT TEN SIX FREE SALE STOP WAR ART FAR"
    " AS AT BY TO OF AN OH HEY WOW BOX KEY SUN SKY SEA BAR MAX FLY FIX MIX RIP CUT HIT WIN"
)  # fmt: skip
_SMALL = re.compile("[ivx]{2,5}")
_MIXED = re.compile(r"\b(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z]*[a-z][A-Z][A-Za-z]*\b|\b[A-Z]{2,}[a-z]{2,}\b")
_HUMPS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_HUMP_WORDS = {"Py": "pie", "py": "pie", "My": "my", "Mc": "mick", "js": "J S", "Js": "J S"}
_ALL_CAPITALS = re.compile(r"\b[A-Z]{2,}(?:(?='?s\b)|\b)")
_LONGEST_SPELLED = 3


def spelled(word: str) -> str:
    """Return a word letter by letter; "Ay" is the name of the letter, where "A" would be the article."""
    return " ".join("Ay" if letter == "A" else letter for letter in word)


def _numbered(match: re.Match[str]) -> str | None:
    """Read figures, but not "Part C" or "Generation X"; small letters only where there are several (Section iv)."""
    numeral = match[2]
    if not (numeral.isupper() or _SMALL.fullmatch(numeral)) or numeral in {"C", "D", "L", "M"}:
        return None
    if numeral == "X" and match[1].lower() in {"generation", "group", "class", "unit", "item", "category", "zone"}:
        return None
    return f"{match[1]} {cardinal(str(roman.value(numeral)))}"


def _monarch(match: re.Match[str]) -> str | None:
    return f"{match[1]} the {ordinal(str(roman.value(match[2]))).capitalize()}" if match[2] else None


def _century(match: re.Match[str]) -> str | None:
    return ordinal(str(roman.value(match[1]))) + match[2] if match[1] else None


def _plain_roman(match: re.Match[str]) -> str | None:
    return f"{match[1]} {cardinal(str(roman.value(match[2])))}"


def _mixed(match: re.Match[str]) -> str | None:
    word = match[0]
    if word in _MIXED_WORDS:
        return _MIXED_WORDS[word]
    if is_known(word.lower()):
        return word.lower()
    humps = _HUMPS.findall(word)
    return " ".join(_HUMP_WORDS.get(hump) or _hump(hump) for hump in humps)


def _hump(hump: str) -> str:
    if hump.isupper():
        return _acronym(hump) if len(hump) > 1 else spelled(hump)
    return hump.upper() if len(hump) == 1 else hump


def _acronym(word: str) -> str:
    if word in _SAID:
        return _SAID[word]
    if word in _WORDS or word in _EMPHASISED or (len(word) > _LONGEST_SPELLED and is_known(word.lower())):
        return word.lower()
    return spelled(word)


ROMAN = (
    Rule(
        "Roman numeral",
        re.compile(
            r"\b([Pp]ages|pp\.|[Cc]hapters|[Pp]arts|[Vv]olumes|[Bb]ooks)\s([IVX]{1,6}|[ivx]{1,6})[-\u2013]([IVX]{1,6}|[ivx]{1,6})\b"
        ),
        lambda m: f"{m[1]} {cardinal(str(roman.value(m[2])))} to {cardinal(str(roman.value(m[3])))}",
        "-\u2013",
    ),
    Rule(
        "acronym",
        re.compile(r"\b([A-Z]{1,3})\s?&\s?([A-Z]{1,3})\b"),
        lambda match: f"{spelled(match[1])} and {spelled(match[2])}",
        "&",
    ),
    Rule(
        "Roman numeral",
        re.compile(rf"\b({_NUMBERED})\s{_ROMAN}\b(?!['\u2019.]\w)", re.IGNORECASE),
        _numbered,
    ),
    Rule(
        "Roman numeral",
        re.compile(
            rf"\b({_MONARCHS})\s(?!I(?:\s+(?:am|was|have|had|will|would|can|"
            rf"do|did|think|know|said|see|saw|want|need|love|like|went|got|"
            rf"met|told)\b|['\u2019]))(?=[IVX]){_ROMAN}\b(?![.]\w)"
        ),
        _monarch,
        "IVX",
    ),
    Rule(
        "Roman numeral",
        re.compile(rf"\b(?=[IVXL]{{2,}}\b|[VX]\b){_ROMAN}(?:th)?(\s(?:century|centuries|[Oo]lympi\w+)\b)"),
        _century,
        "IVXL",
    ),
    Rule(
        "Roman numeral",
        re.compile(
            r"\b([A-Z][a-z]+(?:'s)?)\s(?!(?:XL|XX|MI|MD|VI)\b|IV\s(?:drip|fluid|line))(?=[IVX]{2,})"
            + _ROMAN
            + r"\b(?!['\u2019.]\w)"
        ),
        _plain_roman,
        "IVX",
    ),
)
_LETTER_A = (
    Rule("letter", re.compile(r"(?<=\b[B-HJ-Z] )A\b(?! [a-z])|\bA(?= [B-HJ-Z]\b)"), lambda _: "Ay", "A"),
    Rule("letter", re.compile(r"\bA\b(?=\s*(?:[.,!?;:)\]\"]|$))(?!\.\w)"), lambda _: "Ay", "A"),
    Rule(
        "letter",
        re.compile(r"(?<=[a-z]-)A\b|\bA(?=-)|(?<=\b[Vv]itamin )A\b|(?<=\b[Pp]lan )A\b|(?<=\b[Ll]etter )A\b"),
        lambda _: "Ay",
        "A",
    ),
)


def read_capitals(text: SpannedText) -> SpannedText:
    """Read acronyms letter by letter; known longer ones (NASA) and shouted sentences stay words."""
    shouted = not any(character.islower() for character in text.text)
    if shouted and len(re.findall(r"[A-Z]{2,}", text.text)) > 1:
        return text.sub(re.compile(r"[A-Z]{2,}"), lambda match: match[0].lower())
    text = text.sub(_MIXED, _mixed, "word of several")
    text = text.sub(_ALL_CAPITALS, lambda match: _acronym(match[0]), "acronym")
    text = text.sub(re.compile(r"(?<=\b[A-Z])s\b|(?<=\bAy)s\b"), lambda _: "'s", "acronym")
    return text.apply(_LETTER_A)
