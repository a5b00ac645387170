"""Requests that no client means well, as a table: what each is, and what a server may answer to it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SPEECH: Final = "/v1/audio/speech"
OFFICIAL: Final = "/tts"
REFUSED: Final = frozenset({400, 404, 405, 408, 413, 429})
SPOKEN_OR_REFUSED: Final = REFUSED | {200}

BIDI: Final = "\u202e\u2066\u2067\u200f\u061c"
CONTROLS: Final = "".join(map(chr, [*range(1, 32), *range(127, 160)]))
ZERO_WIDTH: Final = "\u200b\u200c\u200d\ufeff\u2060\u00ad"
SCRIPTS: Final = (
    "\u0436\u0438\u0432\u0438 \u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645 \u0928\u092e\u0938\u094d\u0924\u0947 "
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u4f60\u597d \u3053\u3093\u306b\u3061\u306f \uc548\ub155 \u10d2\u10d0 "
    "\u1230\u120b\u121d \U0001f600 \U00013080 \U0001d54f \ue000 \ufffd"
)

NAMES: Final = {
    "a path": "../../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "an encoded path": "%2e%2e%2f%2e%2e%2fetc",
    "a URL": "http://169.254.169.254/latest/meta-data",
    "a null byte": "studio/alice\x00.wav",
    "line ends": "studio/alice\r\nX-Evil: 1",
    "a format string": "%s%s%s%n{0.__class__}",
    "a template": "{{7*7}}${7*7}",
    "SQL": "' OR '1'='1",
    "bidi": BIDI + "studio/alice",
    "a lookalike": "studi\u043e/alice",
    "another case": "STUDIO/ALICE",
    "nothing but slashes": "/" * 500,
    "512 emoji": "\U0001f600" * 512,
    "10,000 letters": "a" * 10_000,
    "blanks": "   ",
    "a wildcard": "*/*",
}

TEXTS: Final = {
    "control characters": CONTROLS,
    "words between control characters": f"Hello{CONTROLS}there",
    "bidi": f"{BIDI}Hello{BIDI}",
    "zero width": f"He{ZERO_WIDTH}llo",
    "nothing but zero width": ZERO_WIDTH,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200,
    "every script": SCRIPTS,
    "combining marks": "e" + "\u0301" * 4000,
    "one word of 4,096 letters": "a" * 4096,
    "4,096 full stops": "." * 4096,
    "2,048 sentences": "a." * 2048,
    "digits": "9" * 4096,
    "a number with many signs": "1,234.567e89%\u20ac" * 200,
    "nested Markdown": "[" * 2000 + "x" + "]" * 2000,
    "nested quotes": "> " * 2000 + "x",
    "nested emphasis": "*" * 2000 + "x" + "*" * 2000,
    "table": "|" * 4000,
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>" * 50,
    "SSML": '<speak><break time="99999s"/><audio src="file:///etc/passwd"/></speak>',
    "blanks": "\u2003\u00a0\u3000\t\n" * 500,
    "private use": "\ue000\uf8ff\U000f0000",
    "nulls": "\x00" * 100,
}


@dataclass(frozen=True)
class Hostile:
    """One request and the statuses that are answers to it."""

    name: str
    body: bytes = b""
    method: str = "POST"
    path: str = SPEECH
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: frozenset[int] = REFUSED


def speech(**fields: Any) -> bytes:
    """Return the body of a request that would be fine but for these fields."""
    return json.dumps({"input": "Hello.", "voice": "studio/alice", "response_format": "pcm", **fields}).encode()


def table() -> list[Hostile]:
    """Return all of them, always the same."""
    return [*_names(), *_texts(), *_sizes(), *_shapes(), *_paths()]


def _names() -> Iterator[Hostile]:
    for name, value in NAMES.items():
        yield Hostile(f"voice: {name}", speech(voice=value))
        yield Hostile(f"voice object: {name}", speech(voice={"id": value}))
        yield Hostile(f"revision: {name}", speech(voice=f"studio/alice@{value}"))
        yield Hostile(f"target_voice: {name}", json.dumps({"text": "Hello.", "target_voice": value}).encode(), path="/")
        yield Hostile(f"language: {name}", speech(language=value))
        official = {"text": "Hello.", "text_lang": "en", "ref_audio_path": value}
        yield Hostile(f"reference: {name}", json.dumps(official).encode(), path=OFFICIAL)


def _texts() -> Iterator[Hostile]:
    for name, value in TEXTS.items():
        # Refused before anything is spoken: what matters here is how the text is read, and that costs no audio.
        yield Hostile(f"input: {name}", speech(input=value, language="xx"))
        yield Hostile(f"instructions: {name}", speech(instructions=value), answers=SPOKEN_OR_REFUSED)
        entry = {"word": value[:64], "reading": value[:200]}
        yield Hostile(f"lexicon: {name}", speech(lexicon=[entry], language="xx"))


def spoken_texts() -> list[Hostile]:
    """Return the texts to be read, and spoken where they can be: seconds of work each."""
    return [Hostile(f"spoken: {name}", speech(input=value), answers=SPOKEN_OR_REFUSED) for name, value in TEXTS.items()]


def _sizes() -> Iterator[Hostile]:
    yield Hostile("a word of 1 MB", speech(input="a" * 1_000_000))
    yield Hostile("100,000 characters", speech(input="Hello there. " * 7693))
    yield Hostile("100,000 escaped characters", speech(input="\U0001f600" * 20_000))
    yield Hostile("a field name of 200 KB", speech(**{"x" * 200_000: 1}), answers=SPOKEN_OR_REFUSED)
    yield Hostile("20,000 fields", speech(**{f"f{n}": n for n in range(12_000)}), answers=SPOKEN_OR_REFUSED)
    yield Hostile("20,000 entries of a lexicon", speech(lexicon=[{"word": "a", "reading": "b"}] * 8000))
    yield Hostile("a number of 200,000 digits", speech()[:-1] + b', "speed": ' + b"9" * 200_000 + b"}")
    yield Hostile("an exponent", speech()[:-1] + b', "speed": 1e999999999}')
    yield Hostile("a query of 60 KB", method="GET", path=f"{OFFICIAL}?text={'a' * 60_000}&ref_audio_path=x")


def _shapes() -> Iterator[Hostile]:
    yield Hostile("lists in lists", b"[" * 100_000)
    yield Hostile("objects in objects", b'{"input":' * 20_000)
    yield Hostile("closed lists in lists", b"[" * 100_000 + b"]" * 100_000)
    yield Hostile(
        "lists in a field that nobody reads", speech()[:-1] + b', "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}"
    )
    yield Hostile("half of a surrogate", b'{"input": "\\ud800", "voice": "studio/alice"}')
    yield Hostile("no UTF-8", b'{"input": "\xff\xfe", "voice": "studio/alice"}')
    yield Hostile("UTF-16", speech().decode().encode("utf-16"))
    yield Hostile("NaN", speech()[:-1] + b', "speed": NaN}')
    yield Hostile("a field twice", b'{"input": "a", "input": ["b"], "voice": "x"}')
    yield Hostile("nothing")
    for kind in ("null", "true", "0", '"text"', "[]", "{}"):
        yield Hostile(f"a body that is {kind}", kind.encode())
    for name in ("input", "voice", "speed", "seed", "response_format", "lexicon", "top_k", "verify", "timestamps"):
        value: Any
        for value in ([], {}, True, -1, 1e308, "\x00", [[[]]], {"id": {"id": 1}}):
            yield Hostile(f"{name}: {value!r}", speech(**{name: value}), answers=SPOKEN_OR_REFUSED)
    gzip = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    yield Hostile("compressed", b"\x1f\x8b" + b"\x00" * 100, headers=gzip)
    yield Hostile("multipart", b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"})
    yield Hostile(
        "a key of 100 KB", speech(), headers={"Authorization": "Bearer " + "x" * 30_000}, answers=SPOKEN_OR_REFUSED
    )


def _paths() -> Iterator[Hostile]:
    for path in (
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/models/%00",
        "/v1/models/..%2f..%2f",
        "/%ff%fe",
    ):
        yield Hostile(f"path: {path}", method="GET", path=path)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X" * 100):
        yield Hostile(f"method: {method[:10]}", speech(), method=method)


def damaged(seed: int, count: int) -> Iterator[Hostile]:
    """Yield bodies with bytes changed, cut, doubled or put in, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 -- not a secret
    sound = [
        speech(),
        speech(seed=1, speed=1.5, language="en"),
        speech(lexicon=[{"word": "gif", "reading": "JH IH1 F"}]),
    ]
    for number in range(count):
        body = bytearray(draw.choice(sound))
        for _ in range(draw.randint(1, 8)):
            where = draw.randrange(len(body) + 1)
            kind = draw.randrange(4)
            if kind == 0:
                body[where:where] = draw.randbytes(draw.randint(1, 8))
            elif kind == 1:
                del body[where : where + draw.randint(1, 8)]
            elif kind == 2:
                body[where : where + 1] = bytes([draw.randrange(256)])
            else:
                body[where:where] = body[draw.randrange(len(body) + 1) :][:64]
        yield Hostile(f"damaged {seed}/{number}", bytes(body), answers=SPOKEN_OR_REFUSED)
