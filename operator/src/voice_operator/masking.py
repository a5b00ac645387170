"""Masks credentials in text from pods, Jobs and Events, before it enters a status, an Event or a log."""

import re

MASK = "***"

_PEM = "(?:[A-Z0-9]+ )*PRIVATE KEY-----"
_IS = r"""\\?["']?\s*[:=]\s*\\?["']?"""  # between name and value: in a query, a header, YAML, JSON, or JSON in JSON
_KEYS = "access[_ -]?key(?:[_ -]?id)?|secret[_ -]?(?:access[_ -]?)?key|(?:session|security)[_ -]?token|passw(?:or)?d"

# Each pattern keeps its group and loses the rest; first those whose match may contain the others'.
_NAMED = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"(-----BEGIN {_PEM}).*?(?=-----END {_PEM}|\Z)",
        rf"()\A[A-Za-z0-9+/=\s\\]+(?=-----END {_PEM})",  # a log's tail may begin inside a key
        rf"""(\bAuthorization{_IS})[^"'\r\n\\]+""",
        r"(\bBearer )[A-Za-z0-9._~+/-]{8,}=*",
        rf"""(\b(?:X-Amz-)?(?:Signature|Credential|Security-Token){_IS})[^\s"'\\,;&<>]+""",
        rf"""(\b[\w-]{{0,32}}(?:{_KEYS}){_IS})[^\s"'\\,;&<>]+""",
        r"(<(?:AWS)?(?:AccessKeyId|SecretAccessKey|SessionToken)>)[^<]+",
        r"(://)[^/\s@:]*:[^/\s@]*(?=@)",
    )
)
_TOKENS = re.compile(r"\b(?:A(?:KIA|SIA)[A-Z0-9]{16}|hf_[A-Za-z0-9]{16,})\b")


def masked(text: str) -> str:
    """Return ``text`` with credentials replaced by ``***``. Mask first and cut afterwards, or half a key remains.

    Credentials are known by their name (header, query parameter, variable) or by their form: access keys, tokens of
    Hugging Face, private keys in PEM, passwords in URLs. A secret with neither is not recognised.
    """
    for pattern in _NAMED:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return _TOKENS.sub(MASK, text)
