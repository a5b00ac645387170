"""English words that are spelled alike and read apart: which reading is meant, by the words around."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from sovits_core.text.word_lists import word_set

_TO_VERB = word_set(
    "to will would can could shall should may might must do does did don't doesn't didn't won't can't couldn't "
    "shouldn't "
    "wouldn't cannot let's please i you we they who never always often usually i'll you'll we'll they'll he'll she'll "
    "it'll i'd you'd we'd they'd help helps not also then"
)
# Adverbs and pronouns that stand between such a word and its verb.
_SKIPPED = word_set("not never always often also really just ever only fully quickly carefully you i we they")
_TO_NOUN = word_set(
    "a an the this that these those my your his her its our their some any no every each another one of in for "
    "with on at "
    "from by about into under over between new old big small good bad great next last first second high low free own "
    "more most such what which whose"
)
_AFTER_VERB = word_set("a an the this that these those my your his her its our their me you him us them it")
_AFTER_NOUN = word_set("of is was are were has had will and or in at from")
_PERFECT = word_set(
    "have has had haven't hasn't hadn't having i've you've we've they've he's she's was were been be being is are"
)
_PAST_TIMES = word_set("yesterday ago last once earlier previously")
_SINGULAR = word_set("he she it who nobody everyone somebody someone")


class Reading(NamedTuple):
    """The phones of one meaning, and what it is."""

    phones: tuple[str, ...]
    meaning: str


@cache
def _verbs_and_nouns() -> dict[str, tuple[Reading, Reading]]:
    text = (resources.files("sovits_core.text.english") / "data" / "homographs.txt").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            word, verb, noun = line.split("|")
            found[word] = _reading(verb, "verb"), _reading(noun, "noun")
            plural = f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"
            found[plural] = _reading(_plural(verb), "verb"), _reading(_plural(noun), "noun")
    return found


def _reading(phones: str, meaning: str) -> Reading:
    return Reading(tuple(phones.split()), meaning)


def _plural(phones: str) -> str:
    last = phones.rpartition(" ")[2]
    if last in {"S", "Z", "SH", "CH", "JH"}:
        return f"{phones} AH0 Z"
    return f"{phones} {'S' if last in {'P', 'T', 'K', 'F', 'TH'} else 'Z'}"


def choose(words: Sequence[str], place: int) -> Reading | None:
    """Return how the word at a place is read, None where nothing around it tells or it has one reading only.

    Args:
        words: the lower-case words and marks of a text.
        place: the index of the word that is asked for.
    """
    word = words[place]
    if word in _SPECIAL:
        return _SPECIAL[word](words, place)
    pair = _verbs_and_nouns().get(word)
    if pair is None:
        return None
    verb, noun = pair
    return verb if _is_verb(words, place) else noun


def _is_verb(words: Sequence[str], place: int) -> bool:
    before, after = _before(words, place), _at(words, place + 1)
    if before in _TO_NOUN or before.endswith("'s"):
        return False
    if before in _TO_VERB:
        return True
    if before in _SKIPPED and _at(words, place - 2) in _TO_VERB:
        return True
    if before in {"", ",", ".", "!", "?", "and", "or", "but"}:
        return after in _AFTER_VERB  # a command, or one verb of several
    if words[place].endswith("s") and words[place] != "use" and after in _AFTER_VERB:
        return True
    return after in _AFTER_VERB - {"that"} and before not in _AFTER_NOUN


def _before(words: Sequence[str], place: int) -> str:
    return _at(words, place - 1)


def _at(words: Sequence[str], place: int) -> str:
    return words[place] if 0 <= place < len(words) else ""


def _around(words: Sequence[str], place: int, near: int) -> set[str]:
    """Return the words of the same clause within a distance."""
    start = max((at + 1 for at in range(place) if words[at] in ".!?"), default=0)
    end = min((at for at in range(place, len(words)) if words[at] in ".!?"), default=len(words))
    return set(words[max(start, place - near) : min(end, place + near + 1)])


def _read(words: Sequence[str], place: int) -> Reading:
    past = _reading("R EH1 D", "past")
    present = _reading("R IY1 D", "present")
    before = _before(words, place)
    back = before if before not in _SKIPPED - {"you", "i", "we", "they"} else _at(words, place - 2)
    if before in {"be", "is", "are"} and _at(words, place + 1) in {"me", "my", "the", "your"}:
        return present
    if back in _PERFECT:
        return past
    if back in _TO_VERB - {"i", "you", "we", "they", "who", "then"}:
        return present
    if _around(words, place, 12) & _PAST_TIMES:
        return past
    return past if back in _SINGULAR and _at(words, place - 2) not in {"does", "did", "will", "can", "let"} else present


def _live(words: Sequence[str], place: int) -> Reading:
    verb, adjective = _reading("L IH1 V", "verb"), _reading("L AY1 V", "adjective")
    before, after = _before(words, place), _at(words, place + 1)
    if after in {
        "in",
        "at",
        "with",
        "here",
        "there",
        "together",
        "alone",
        "near",
        "by",
        "without",
        "for",
        "long",
        "longer",
        "up",
        "forever",
        "like",
        "abroad",
        "nearby",
        "under",
        "among",
        "as",
        "off",
        "happily",
    } and before not in {
        "go",
        "went",
        "goes",
        "going",
        "is",
        "are",
        "was",
        "were",
        "streamed",
        "broadcast",
        "the",
        "a",
        "recorded",
        "reporting",
        "performing",
        "perform",
    }:
        return verb
    if before in _TO_VERB - {"do", "did", "does", "not"} or before in {
        "people",
        "who",
        "and",
        "animals",
        "families",
        "not",
        "don't",
    }:
        return verb if before != "and" or after in {"", ".", ",", "!"} else adjective
    return adjective if before or after else verb


def _lead(words: Sequence[str], place: int) -> Reading:
    metal = {"pipe", "pipes", "paint", "poisoning", "bullet", "bullets", "acid", "pencil", "metal", "metals",
    "copper", "zinc",
             "toxic", "mercury", "iron", "tin", "unleaded", "contaminated", "contains", "contained", "weights",
             "battery",
             "heavy", "solder", "molten", "exposure", "crystal"}  # fmt: skip
    if words[place] == "lead" and _around(words, place, 5) & metal and _before(words, place) not in _TO_VERB:
        return _reading("L EH1 D", "metal")
    return _reading("L IY1 D", "to be first")


def _by_context(
    usual: tuple[str, str], rare: tuple[str, str], near: str, *, before: str = "", as_verb: bool = False
) -> Callable[[Sequence[str], int], Reading]:
    """Return a chooser: the rare reading where one of the words is near, or as a verb; else the usual one."""
    hints, hints_before = set(near.split()), set(before.split())

    def choose_by_context(words: Sequence[str], place: int) -> Reading:
        told = _around(words, place, 6) & hints or _before(words, place) in hints_before
        if told or (as_verb and _is_verb(words, place)):
            return _reading(*rare)
        return _reading(*usual)

    return choose_by_context


def _content(words: Sequence[str], place: int) -> Reading:
    pleased = _before(words, place) in {"be", "is", "are", "was", "were", "am", "i'm", "he's", "she's", "they're",
    "feel",
                                        "felt", "feels", "quite", "perfectly", "so", "seemed", "seems",
                                        "being"}  # fmt: skip
    pleased = pleased and _at(words, place + 1) in {"", ".", ",", "!", "with", "to", "and", "just", "?"}
    return _reading("K AH0 N T EH1 N T", "pleased") if pleased else _reading("K AA1 N T EH0 N T", "what is inside")


def _used(words: Sequence[str], place: int) -> Reading:
    habit = _at(words, place + 1) == "to" and not (
        _before(words, place) in {"is", "are", "was", "were", "be", "been"}
        and not re.match(r".*ing$|the|it|this", _at(words, place + 2))
    )
    return _reading("Y UW1 S T", "habit") if habit else _reading("Y UW1 Z D", "verb")


_MINUTE = _by_context(
    ("M IH1 N AH0 T", "time"), ("M AY0 N UW1 T", "tiny"), "detail details particles traces amounts quantities"
)
_SPECIAL: dict[str, Callable[[Sequence[str], int], Reading]] = {
    "read": _read,
    "live": _live,
    "lead": _lead,
    "content": _content,
    "used": _used,
    "minute": _MINUTE,
    "wind": _by_context(
        ("W IH1 N D", "air"),
        ("W AY1 N D", "to turn"),
        "clock watch thread yarn rope spool",
        before="to will could would",
    ),
    "tear": _by_context(
        ("T IH1 R", "of the eye"),
        ("T EH1 R", "to rip"),
        "paper up apart down muscle ligament page pages fabric off",
        before="to will can don't wear-and",
    ),
    "tears": _by_context(
        ("T IH1 R Z", "of the eye"), ("T EH1 R Z", "rips"), "paper apart fabric page", before="he she it"
    ),
    "bow": _by_context(
        ("B OW1", "weapon, knot"),
        ("B AW1", "to bend"),
        "king queen audience stage ship deck heads",
        before="to took take final",
    ),
    "bass": _by_context(
        ("B EY1 S", "music"), ("B AE1 S", "fish"), "fish fishing caught lake striped river sea grilled largemouth cook"
    ),
    "dove": _by_context(
        ("D AH1 V", "bird"), ("D OW1 V", "dived"), "into pool water ocean headfirst", before="he she they i we"
    ),
    "wound": _by_context(
        ("W UW1 N D", "injury"), ("W AW1 N D", "turned"), "clock watch around", before="road path river he'd"
    ),
    "sow": _by_context(("S OW1", "to plant"), ("S AW1", "pig"), "piglets pig pigs boar farm"),
    "row": _by_context(("R OW1", "line"), ("R AW1", "quarrel"), "terrible furious heated blazing"),
    "does": _by_context(("D AH1 Z", "verb"), ("D OW1 Z", "deer"), "deer fawns bucks"),
    "invalid": _by_context(("IH0 N V AE1 L AH0 D", "not valid"), ("IH1 N V AH0 L AH0 D", "person"), "bedridden nursed"),
    "sewer": _by_context(("S UW1 ER0", "drain"), ("S OW1 ER0", "who sews"), "fabric thread stitches"),
    "resume": _by_context(
        ("R IH0 Z UW1 M", "to go on"),
        ("R EH1 Z AH0 M EY2", "of a career"),
        "cv job career letter application employer hiring",
        before="a my your his her the their",
    ),
    "learned": _by_context(("L ER1 N D", "verb"), ("L ER1 N IH0 D", "wise"), "scholar scholars professor judge"),
    "blessed": _by_context(("B L EH1 S T", "verb"), ("B L EH1 S IH0 D", "holy"), "virgin sacrament mary trinity"),
    "aged": _by_context(("EY1 JH D", "years"), ("EY1 JH IH0 D", "old"), "care parents infirm", before="the an middle"),
    "number": _by_context(("N AH1 M B ER0", "count"), ("N AH1 M ER0", "less feeling"), "lips fingers toes feeling"),
}
