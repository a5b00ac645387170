"""Measures, percentages, temperatures and heights in English text."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re

from sovits_core.text.english.numbers import NUMBER, TO, cardinal, counted, plural, plural_words, quantity
from sovits_core.text.spans import Rule

_TIMES = {
    "s": "second", "sec": "second", "second": "second", "min": "minute", "minute": "minute", "h": "hour", "hr": "hour",
    "hour": "hour", "d": "day", "day": "day", "wk": "week", "week": "week", "mo": "month", "month": "month",
    "yr": "year", "year": "year", "person": "person", "user": "user", "night": "night",
}  # fmt: skip
# Written with or without a space before them.
_UNITS = {
    "nm": "nanometer", "µm": "micrometer", "μm": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "km": "kilometer", "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "sq ft": "square foot",
    "sq m": "square meter", "sq km": "square kilometer", "sq mi": "square mile", "m²": "square meter",
    "m2": "square meter", "km²": "square kilometer", "km2": "square kilometer", "cm²": "square centimeter",
    "cm2": "square centimeter", "mm²": "square millimeter", "ft²": "square foot", "ft2": "square foot",
    "m³": "cubic meter", "m3": "cubic meter", "cm³": "cubic centimeter", "cm3": "cubic centimeter",
    "ft³": "cubic foot", "ha": "hectare", "µg": "microgram", "μg": "microgram", "mcg": "microgram", "mg": "milligram",
    "g": "gram", "kg": "kilogram", "kgs": "kilogram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "fl oz": "fluid ounce", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "dl": "deciliter", "l": "liter",
    "L": "liter", "gal": "gallon", "tsp": "teaspoon", "tbsp": "tablespoon", "KB": "kilobyte", "kB": "kilobyte",
    "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte",
    "GiB": "gibibyte", "kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "kbps": "kilobit per second",
    "Mbps": "megabit per second", "Gbps": "gigabit per second", "bps": "bit per second", "Hz": "hertz",
    "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "THz": "terahertz", "mW": "milliwatt", "W": "watt",
    "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "Wh": "watt hour", "kWh": "kilowatt hour",
    "MWh": "megawatt hour", "mV": "millivolt", "V": "volt", "kV": "kilovolt", "mA": "milliamp", "mAh": "milliamp hour",
    "J": "joule", "kJ": "kilojoule", "cal": "calorie", "kcal": "kilocalorie", "Pa": "pascal", "hPa": "hectopascal",
    "kPa": "kilopascal", "MPa": "megapascal", "psi": "pound per square inch", "dB": "decibel", "dBA": "decibel",
    "rpm": "revolution per minute", "bpm": "beat per minute", "fps": "frame per second", "ppm": "part per million",
    "dpi": "dot per inch", "px": "pixel", "mph": "mile per hour", "kph": "kilometer per hour",
    "kmh": "kilometer per hour", "ms": "millisecond", "µs": "microsecond", "μs": "microsecond", "ns": "nanosecond",
    "sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour",
    "yr": "year", "yrs": "year", "wk": "week", "wks": "week", "mos": "month", "pts": "point", "hp": "horsepower",
    "cc": "cubic centimeter", "ct": "carat", "mol": "mole", "lx": "lux", "lm": "lumen", "Ω": "ohm", "kΩ": "kilohm",
}  # fmt: skip
# Also words or letters of their own: a unit only where the number touches them.
_TOUCHING = {"in": "inch", "s": "second", "t": "ton", "d": "day", "w": "week", "x": "time", "X": "time", "×": "time"}
_WITHOUT_PLURAL = frozenset(["horsepower", "lux"])
_SCALES = {"C": " Celsius", "F": " Fahrenheit", "K": " Kelvin", "N": " north", "S": " south", "E": " east",
           "W": " west", "": ""}  # fmt: skip
# After these a measure stands before a noun: a five kilogram bag.
_DETERMINER = re.compile(r"\b(?:an?|per|each|every|this|that|the)\s$")
_COUNTED_BEFORE = re.compile(r"\b(?:two|three|four|many|all|[Tt]he)\s$")
_NOUN = re.compile(r"\s[a-z]{3}")
# What "/month" may stand behind: "per month", where between other words it is only "or".
_COUNTABLE = re.compile(
    r"(?:dollars?|euros?|pounds?|cents?|pence|percent|yen|rupees?|people|requests?|times?|items?|units?|words?|points?"
    r"|characters?|calls?|users?|messages?|pages?)$"
)


def signed(number: str) -> str:
    """Return a quantity with its sign."""
    if number[0] in "-\u2212":
        return f"minus {quantity(number[1:])}"
    if number[0] == "~":
        return f"about {quantity(number[1:])}"
    return f"plus {quantity(number[1:])}" if number[0] == "+" else quantity(number)


def _start(match: re.Match[str]) -> str:
    return f"{signed(match['first'])} to " if match["first"] else ""


def _percent(match: re.Match[str]) -> str:
    return f"{_start(match)}{signed(match['number'])} {'percent' if match['sign'] == '%' else 'per mille'}"


def _degrees(match: re.Match[str]) -> str:
    number, scale = match["number"], match["scale"] or {"℃": "C", "℉": "F"}.get(match["sign"], "")
    degree = "degree" if number.lstrip("-") == "1" else "degrees"
    return f"{_start(match)}{signed(number)} {degree}{_SCALES[scale]}"


def _height(match: re.Match[str]) -> str:
    return f"{quantity(match[1])} foot {quantity(match[2])}"


def _measure(match: re.Match[str]) -> str:
    number = match["number"]
    unit = _UNITS.get(match["unit"]) or _TOUCHING[match["unit"]]
    before, after = match.string[max(0, match.start() - 7) : match.start()], match.string[match.end() :][:4]
    single = number.lstrip("+-\u2212~") == "1" or (unit != "time" and _DETERMINER.search(before) and _NOUN.match(after))
    noun = unit if single or unit in _WITHOUT_PLURAL else plural(unit)
    per = match["per"]
    ratio = f" per {_TIMES.get(per) or _UNITS[per]}{' squared' if match['squared'] else ''}" if per else ""
    return f"{_start(match)}{signed(number)} {noun}{ratio}"


def _per(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 12) : match.start()]
    return f" per {_TIMES[match[1]]}" if _COUNTABLE.search(before) else None


def _names(*tables: dict[str, str]) -> str:
    return "|".join(re.escape(unit) for unit in sorted({key for table in tables for key in table}, key=len)[::-1])


def _amount(unit: str = "") -> str:
    """Return a pattern of a number or a range of two; `unit` may stand behind the first already."""
    return rf"(?:(?<![\w.,])(?P<first>[-\u2212]?{NUMBER}){unit}{TO})?(?P<number>(?<![\w.])[-+\u2212~]?{NUMBER})"


def _attribute(match: re.Match[str]) -> str:
    unit = _UNITS.get(match[2]) or _TOUCHING[match[2]]
    return f"{quantity(match[1])} {unit}"


def _attributed(match: re.Match[str]) -> str:
    return f"{quantity(match[1])} inch"


def _per_hundred(match: re.Match[str]) -> str:
    return f"{quantity(match[1])} liters per one hundred kilometers"


def _numbers(match: re.Match[str]) -> str | None:
    """Read plain plurals of figures: two 5s, the 10s, tens of thousands; others are seconds."""
    before = match.string[max(0, match.start() - 6) : match.start()]
    plain = _COUNTED_BEFORE.search(before) or (match[2] and match[1].endswith("0"))
    return plural_words(cardinal(match[1])) if plain else None


def _side(match: re.Match[str]) -> str:
    return f"{quantity(match[1])} by "


def _feet(match: re.Match[str]) -> str | None:
    """Return feet, unless the mark ends a quotation; before a noun there is one foot: a six foot fence."""
    if re.search(r"(?<!\w)'", match.string[: match.start()]):
        return None
    rest = match.string[match.end() :]
    return f"{quantity(match[1])} foot" if re.match(r"\s[a-z]", rest) else counted(match[1], "foot")


MEASURES = (
    Rule("sign", re.compile(r"(?<=\d)\s?pct\b\.?"), lambda _: "%", "p"),
    Rule(
        "dimensions",
        re.compile(rf"(?<![\w.])({NUMBER})\s?[x×]\s?(?={NUMBER}\s?(?:{_names(_UNITS)})(?![\w²³']))"),
        _side,
        "x×",
    ),
    Rule("measure", re.compile(rf"(?<![\w.])({NUMBER})\s?L\s?/\s?100\s?km\b"), _per_hundred, "L"),
    # a forty-five minute talk, a hundred meter dash
    Rule("measure", re.compile(rf"(?<![\w.-])({NUMBER})-({_names(_UNITS)}|in)(?=\s[a-z]{{3}})"), _attribute, "-"),
    Rule(
        "measure",
        re.compile(rf"(?:(?<=\ba )|(?<=\bthe )|(?<=\bmy ))({NUMBER})[\"\u2033](?=\s[a-z])"),
        _attributed,
        '"\u2033',
    ),
    Rule("numbers", re.compile(r"(?<![\w.,])(\d{1,6})s\b(?=(\sof\b)?)"), _numbers, "s"),
    Rule("pence", re.compile(r"(?<![\w.,])(\d{1,2})p\b(?!\.\w)"), lambda match: counted(match[1], "penny"), "p"),
    Rule("percentage", re.compile(rf"{_amount('%?')}\s?(?P<sign>[%‰])"), _percent, "%‰"),
    Rule(
        "temperature",
        re.compile(rf"{_amount('(?:[°º][CF]?)?')}\s?(?P<sign>[°º℃℉])\s?(?P<scale>[CFKNSEW]\b)?"),
        _degrees,
        "°º℃℉",
    ),
    Rule("height", re.compile(r"(?<![\w.])(\d)['\u2032]\s?(\d{1,2})(?:[\"\u2033]|'')"), _height, "'\u2032"),
    Rule("height", re.compile(r"(?<![\w.'])(\d{1,2})'(?![\w'\"])"), _feet, "'"),
    Rule("height", re.compile(r"(?<![\w.])(\d+)\u2032"), lambda match: counted(match[1], "foot"), "\u2032"),
    Rule(
        "measure",
        re.compile(
            rf"{_amount()}\s?(?P<unit>{_names(_UNITS)})(?:\s?/\s?(?P<per>{_names(_UNITS, _TIMES)})(?P<squared>²)?)?"
            rf"(?![\w²³'])"
        ),
        _measure,
    ),
    Rule("measure", re.compile(rf"{_amount()}(?P<unit>{_names(_TOUCHING)})(?P<per>)(?P<squared>)(?![\w'])"), _measure),
    Rule("per", re.compile(rf"(?<=[a-z])\s?/\s?({_names(_TIMES)})\b"), _per, "/"),
)
