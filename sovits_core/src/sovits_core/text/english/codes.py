"""Addresses, hashtags, versions, telephone and other numbers that are names: read part by part."""

from __future__ import annotations

import re

from sovits_core.text.english.numbers import cardinal, one_by_one, short_code
from sovits_core.text.spans import Rule

_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "%": "percent", "+": "plus", "~": "tilde", "\\": "backslash",
}  # fmt: skip
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\w\s]|_")
# Names of files and domains that are read as words; other short ones are spelled.
_WORDS = frozenset(["com", "net", "org", "info", "gov", "mil", "dev", "app", "blog", "shop", "online", "store", "tech",
                    "cloud", "doc", "zip", "log", "bin", "bat", "bash", "conf", "config", "text", "java", "co",
                    "the", "my", "go", "get", "we", "our", "for", "me", "to", "in", "on", "of", "is", "it", "new",
                    "old", "all", "and", "big", "run", "web", "src", "lib"])  # fmt: skip
_SPELLED = frozenset(["abc", "xyz", "html", "https", "http", "docx", "xlsx", "pptx", "mp3", "mp4", "edu", "src", "lib"])
_RESPELLED = {"www": "W W W", "src": "source", "lib": "lib", "readme": "read me", "py": "P Y", "md": "M D",
              "json": "jason", "yaml": "yammel", "yml": "yammel", "gif": "gif", "jpeg": "jay peg", "gmail": "G mail",
              "github": "git hub", "youtube": "you tube", "linkedin": "linked in", "usr": "user"}  # fmt: skip
_TLD = (
    "com|org|net|edu|gov|mil|int|io|ai|co|dev|app|info|biz|me|tv|us|uk|ca|au|de|fr|jp|cn|kr|hk|tw|in|eu|nl|it|es|ch|at|"
    "se|no|ru|br|mx|nz|sg|xyz|online|site|tech|cloud|shop|store|blog"
)
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)"
_PATH = r"(?:[/?#][\w./?=&%#~:+-]*[\w/])?/?"
_FILE = (
    "pdf|txt|md|py|js|ts|json|yaml|yml|csv|xml|html|css|zip|exe|png|"
    "jpg|jpeg|gif|mp3|mp4|wav|docx?|xlsx?|pptx?|sh|go|rs|java|cpp|"
    "toml|log|conf|onnx|sh|tar|gz"
)
# A day or a telephone number with points is no version.
_DOTTED = r"(?:[0-3]?\d\.[01]?\d\.(?:19|20)\d\d|\d{3}\.\d{3}\.\d{4})(?!\d)"
_NOT_A_NUMBER = r"(?<![\w.,$£€#/:-])"


def _letters(word: str) -> str:
    """Return capitals, which are read letter by letter."""
    return " ".join("Ay" if letter == "A" else letter for letter in word.upper())


def _part(part: str) -> str:
    lower = part.lower()
    if part.isdigit():
        return short_code(part)
    if lower in _RESPELLED:
        return _RESPELLED[lower]
    if part in _SIGNS:
        return _SIGNS[part]
    if lower in _WORDS:
        return lower
    if lower in _SPELLED or (len(part) < 4 and not re.search("[aeiouy]", lower)) or len(part) < 3:
        return _letters(part)
    return part if part.islower() or part.istitle() else _letters(part)


def _address(text: str) -> str:
    return " ".join(_part(part) for part in _PARTS.findall(text))


def _file(match: re.Match[str]) -> str:
    extension = match[2].lower()
    spelled = _RESPELLED.get(extension) or (extension if extension in _WORDS else _letters(extension))
    return f"{_address(match[1])} dot {spelled}"


def _url(match: re.Match[str]) -> str:
    return _address(match["url"].rstrip("/"))


def _hashtag(match: re.Match[str]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z\d])|(?<=[A-Z])(?=[A-Z][a-z])|_", " ", match[1])
    return f"hashtag {words}"


def _version(match: re.Match[str]) -> str:
    name = {"v": "version ", "V": "version ", "": ""}.get(match["v"], match["v"])
    return name + " point ".join(cardinal(part.lstrip("0") or "0") for part in match["parts"].split("."))


def _telephone(match: re.Match[str]) -> str:
    country = f"plus {one_by_one(match['country'])}, " if match["country"] else ""
    return country + one_by_one(match["rest"])


def _digits(match: re.Match[str]) -> str:
    other = f" or {one_by_one(match['other'])}" if match["other"] else ""
    return match["name"] + one_by_one(match["digits"]) + other


def _dotted(match: re.Match[str]) -> str:
    port = f" colon {one_by_one(match['port'])}" if match["port"] else ""
    return " dot ".join(one_by_one(part) for part in match["ip"].split(".")) + port


def _named(match: re.Match[str]) -> str:
    return f"{match[1]} {short_code(match[2])}"


# Nouns whose number is called out digit by digit.
_CALLED_OUT = (
    r"(?:\b(?:[Cc]ode|PIN|pin|ID|[Aa]ccount|[Cc]ard|[Ss]erial|[Zz]ip|ZIP|[Ee]xt\.|[Ee]xtension|[Tt]racking|[Pp]asscode|"
    r"[Pp]assword|[Cc]onfirmation|SSN|VIN|ISBN|[Dd]ial|[Cc]all|[Tt]ext|[Oo]rder|[Ii]nvoice|[Tt]icket)"
    r"(?:\s(?:[Nn]umber|[Nn]o\.|code|ID))?(?:\sis)?[:\s]\s?#?)"
)

CODES = (
    # A space between thousands, as the international standard has it: told from other numbers by the zeros at its end.
    Rule(
        "thousands",
        re.compile(r"(?<![\d.,-])(?<!\d )[1-9]\d{0,2}(?: \d{3}){0,4} 000(?![\d-]| \d)"),
        lambda match: match[0].replace(" ", ""),
        "0",
    ),
    Rule(
        "retirement plan",
        re.compile(r"\b(40[13])\(([kKbB])\)"),
        lambda m: f"four oh {cardinal(m[1][2])} {m[2].upper()}",
        "(",
    ),
    Rule("protocol", re.compile(r"\b([A-Z]{2,5})/(?=\d(?:\.\d)?\b)"), lambda match: f"{_letters(match[1])} ", "/"),
    Rule(
        "e-mail address",
        re.compile(rf"(?<![\w.])[\w.+%-]{{1,64}}@{_HOST}{{1,8}}[A-Za-z]{{2,24}}\b"),
        lambda match: _address(match[0]),
        "@",
    ),
    Rule("web address", re.compile(rf"\b(?:https?|ftp)://(?P<url>[\w.-]+(?::\d+)?{_PATH})"), _url, "/"),
    Rule("web address", re.compile(rf"(?<![\w.@])(?P<url>www\.[\w.-]+\w{_PATH})"), _url, "w"),
    Rule(
        "IP address",
        re.compile(r"(?<![\w.])(?P<ip>\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d{1,5}))?(?![\w.]*\d)"),
        _dotted,
        ".",
    ),
    Rule("file name", re.compile(rf"(?<![\w.])([\w-]{{1,64}})\.({_FILE})\b(?![/.]\w)"), _file, "."),
    Rule("web address", re.compile(rf"(?<![\w.@])(?P<url>{_HOST}{{1,8}}(?:{_TLD})\b{_PATH})"), _url, "."),
    Rule(
        "path",
        re.compile(r"(?<![\w/.])((?:~|\.{1,2})?(?:/[A-Za-z][\w.-]*){2,12}/?)"),
        lambda match: _address(match[0].rstrip("./")),
        "/",
    ),
    Rule("hashtag", re.compile(r"(?<![\w&])#([A-Za-z_]\w*)"), _hashtag, "#"),
    Rule("number sign", re.compile(r"(?<!\w)#\s?(?=\d)"), lambda _: "number ", "#"),
    Rule("handle", re.compile(r"(?<!\w)@([A-Za-z_]\w*)"), lambda match: f"at {match[1].replace('_', ' ')}", "@"),
    Rule(
        "version",
        re.compile(r"(?<=\.\d)-(alpha|beta|rc|pre|preview|dev)\b\.?(?=\d|\b)"),
        lambda match: f" {'R C' if match[1] == 'rc' else match[1]} ",
        "-",
    ),
    Rule(
        "version",
        re.compile(rf"(?<![\w.])(?!{_DOTTED})(?P<v>[vV]?)(?P<parts>\d+(?:\.\d+){{2,5}})(?![\w.]*\d)"),
        _version,
        ".",
    ),
    Rule(
        "version",
        re.compile(r"(?<![\w.])(?P<v>v(?=\d)|V(?=\d+\.))(?P<parts>\d+(?:\.\d+)?)(?![\w.]*\d)"),
        _version,
        "vV",
    ),
    Rule(
        "version",
        re.compile(
            r"\b(?P<v>(?:[Vv]ersion|Python|Java|Node|iOS|Android|Ubuntu|PHP|"
            r"Go|CUDA|macOS|Windows)\s)(?P<parts>\d{1,2}\.\d{1,3})(?![\w.]"
            r"*\d)"
        ),
        _version,
        ".",
    ),
    Rule(
        "telephone number",
        re.compile(
            r"(?<![\w.,$])\+(?P<country>\d{1,3})[\s.-]?(?P<rest>\(?\d{1,4}\)?(?:[\s.-]?\d{2,4}){1,5})(?!\d|[.,]\d)"
        ),
        _telephone,
        "+",
    ),
    Rule(
        "telephone number",
        re.compile(r"(?<![\w.,$])(?P<country>)(?P<rest>(?:1[\s.-])?\(\d{3}\)\s?\d{3}[\s.-]\d{4})(?!\d|[.,]\d)"),
        _telephone,
        "(",
    ),
    Rule(
        "telephone number",
        re.compile(
            rf"{_NOT_A_NUMBER}(?P<country>)(?P<rest>(?:1[\s.-])?\d{{3}}[-.]"
            rf"\d{{3}}[-.]\d{{4}}|\d{{3}}-\d{{4}}|\d{{3}} \d{{3}} \d{{4}}|0\d{{2,4}}[ "
            rf"-]\d{{3,4}}[ -]\d{{3,4}})(?!\d|[.,-]\d)"
        ),
        _telephone,
    ),
    Rule(
        "card number",
        re.compile(
            rf"{_NOT_A_NUMBER}(?P<country>)(?P<rest>\d{{4}}(?:[ -]\d{{4}}){{3}}|"
            rf"\d{{3}}-\d{{2}}-\d{{4}}|97[89](?:-\d{{1,7}}){{3,4}})(?![\d-]"
            rf")"
        ),
        _telephone,
    ),
    Rule(
        "number by digits",
        re.compile(
            rf"(?P<name>{_CALLED_OUT})(?P<digits>\d{{3,20}}(?:[ -]\d{{2,6}}){{0,4}})"
            r"(?:\sor\s(?P<other>\d{3,20}))?(?![\w/:%]|[.,-]\d)"
        ),
        _digits,
    ),
    Rule(
        "number by digits",
        re.compile(
            r"(?P<name>\b(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|"
            r"M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
            r")\s)(?P<digits>\d{5}(?:-\d{4})?)(?!\d)"
        ),
        lambda match: f"{match['name']}{one_by_one(match['digits'])}",
    ),
    Rule(
        "number of a thing",
        re.compile(
            r"\b((?:[Rr]oom|[Ff]light|[Rr]oute|[Hh]ighway|[Ii]nterstate|[Bb]"
            r"us|[Ss]uite|[Aa]partment|[Aa]pt\.|[Gg]ate|[Tt]rain|Boeing|Airbus|"
            r"Area|Unit|HTTP|[Ee]rror|I|US|Formula|Studio|Agent|Xbox|Peugeot|"
            r"Porsche))[\s-](\d{3})(?!\w|[.,:-]\d|\s(?:people|times|days))"
        ),
        _named,
    ),
    Rule("extension", re.compile(r"\b[Ee]xt\.(?=\s?[\w])"), lambda _: "extension"),
)

LETTERS_AND_DIGITS = (
    Rule(
        "letters and digits",
        re.compile(r"\bA-?(\d{1,4})(?![\d,]|\.\d)"),
        lambda match: f"Ay {short_code(match[1])}",
        "A",
    ),
    Rule(
        "letters and digits", re.compile(r"(?<![\w.])([A-Z]{1,5}|[A-Za-z]+)-(\d{1,4})(?![\w,/]|[.:-]\d)"), _named, "-"
    ),
    Rule(
        "letters and digits",
        re.compile(r"(?<!\d)(?<![.,]\d)(\d{3,4})p\b"),
        lambda match: f"{short_code(match[1])} P",
        "p",
    ),
    Rule(
        "version",
        re.compile(r"(?<=[A-Za-z])(\d{1,3})\.(\d{1,2})(?![\w]|\.\d)"),
        lambda match: f" {cardinal(match[1])} point {cardinal(match[2])} ",
        ".",
    ),
    Rule(
        "letters and digits",
        re.compile(r"(?<=[A-Za-z])(\d{1,4})(?![\d.,]\d|st\b|nd\b|rd\b|th\b)"),
        lambda match: f" {short_code(match[1])} ",
    ),
    Rule(
        "letters and digits",
        re.compile(r"(?<![\w.,])(\d{1,4})-?([A-Z]{1,2})(?![a-z\w])"),
        lambda match: f"{cardinal(match[1])} {_letters(match[2])}",
    ),
)
