"""How tones change inside a Mandarin word: 不, 一, neutral tones and third tones, in that order."""

from __future__ import annotations

from functools import cache
from importlib import resources

from sovits_core.text.chinese.readings import NEUTRAL, Reading
from sovits_core.text.chinese.words import first_part_length

_NUMERALS = set("零一二三四五六七八九十百千万亿两幺")
_PARTICLES = set("吧呢嘛吗啊呀哇呐噻哟喽啰啦喔哦诶哩咯")
# Words that end like a particle or a suffix and are spoken in full: 男子, where 子 is a man, against 桌子, a table.
_FULL_TONE_ENDINGS = frozenset([
    "毛呢", "花呢", "男子", "女子", "父子", "母子", "王子", "公子", "太子", "天子", "才子", "君子",
    "弟子", "学子", "游子", "浪子", "赤子", "孔子", "孟子", "墨子", "荀子", "庄子", "长子", "次子",
    "幼子", "养子", "义子", "独子", "继子", "质子", "原子", "分子", "电子", "离子", "中子", "量子",
    "粒子", "因子", "核子", "光子", "卵子", "精子", "孢子", "莲子", "瓜子", "松子", "石子", "棋子",
    "甲子", "双子", "臣子", "弃子", "落子", "目的", "获得", "取得", "所得", "心得", "难得",
    "赢得", "博得", "夺得", "求得",
])  # fmt: skip
# Doubled to say "every" or as a figure of speech, not to soften a noun or a verb.
_FULL_TONE_DOUBLES = frozenset([
    "人人", "天天", "年年", "月月", "日日", "夜夜", "家家", "户户", "处处", "事事", "时时", "刻刻",
    "步步", "声声", "句句", "种种", "层层", "样样", "件件", "字字", "世世", "代代", "哈哈", "莘莘",
    "冉冉", "袅袅", "佼佼", "熙熙", "攘攘", "恰恰", "往往", "仅仅", "渐渐", "纷纷",
    "匆匆", "整整", "幺幺",
])  # fmt: skip
_PLACES = set("上下里")
_DIRECTIONS = set("来去")
_BEFORE_DIRECTIONS = set("上下进出回过起开")
_BEFORE_GE = _NUMERALS | set("几有半多各整每做是")
# Here 儿 is a child or a bird's tail of its own, not the r that colours a vowel.
_FULL_ER = frozenset([
    "女儿", "男儿", "婴儿", "幼儿", "胎儿", "孤儿", "少儿", "健儿", "侄儿", "孙儿", "患儿", "弃儿",
    "宠儿", "妻儿", "乞儿", "聋儿", "育儿", "花儿", "鸟儿", "马儿",
])  # fmt: skip


def change_tones(word: str, tag: str, readings: list[Reading]) -> list[int]:
    """Return the tone of each character of a word as it is spoken; `tag` is jieba's part of speech."""
    tones = [reading.tone for reading in readings]
    tones = _bu(word, tones)
    tones = _yi(word, tones)
    tones = _neutral(word, tag, tones)
    return _third(word, tones)


def merges_er(word: str, tag: str, readings: list[Reading]) -> bool:
    """Say whether the 儿 that ends a word is spoken with the tone of the syllable before it."""
    is_suffix = len(word) > 1 and word[-1] == "儿" and readings[-1].syllable == "er"
    return is_suffix and word[-2:] not in _FULL_ER and tag not in ("a", "j", "nr")


def _bu(word: str, tones: list[int]) -> list[int]:
    """Weaken 不 between two characters (看不懂), and raise it before a fourth tone (不怕)."""
    if len(word) == 3 and word[1] == "不":
        return [tones[0], NEUTRAL, tones[2]]
    return [
        2 if character == "不" and tones[index + 1 : index + 2] == [4] else tones[index]
        for index, character in enumerate(word)
    ]


def _yi(word: str, tones: list[int]) -> list[int]:
    """Weaken 一 in 看一看, raise it before a fourth tone, lower it before others; numbers and ordinals keep it."""
    if "一" not in word or set(word) <= _NUMERALS:
        return tones
    if len(word) == 3 and word[1] == "一" and word[0] == word[2]:
        return [tones[0], NEUTRAL, tones[2]]
    changed = list(tones)
    if word.startswith("第一"):
        changed[1] = 1
        return changed
    for index, character in enumerate(word[:-1]):
        if character == "一":
            # A weakened syllable, as in 一个, counts as the fourth tone that it mostly comes from.
            changed[index] = 2 if changed[index + 1] in (4, NEUTRAL) else 4
    return changed


def _neutral(word: str, tag: str, tones: list[int]) -> list[int]:
    tones = list(tones)
    if tag[:1] in ("n", "v", "a"):
        for index in range(1, len(word)):
            if word[index] == word[index - 1] and word[index - 1 : index + 1] not in _FULL_TONE_DOUBLES:
                tones[index] = NEUTRAL
    counted = word.find("个")
    if word[-1] == "子" and word[-2:] in _FULL_TONE_ENDINGS:
        tones[-1] = 3  # pypinyin weakens every 子
    elif _ends_weakly(word, tag):
        tones[-1] = NEUTRAL
    elif word == "个" or (counted > 0 and word[counted - 1] in _BEFORE_GE):
        tones[counted] = NEUTRAL
    if len(word) == 3 and word[1] == "得" and word[:2] not in _FULL_TONE_ENDINGS:
        tones[1] = NEUTRAL  # 跑得快
    # A compound is looked up in both its parts: 好朋友 ends in 朋友.
    boundary = first_part_length(word)
    for part, last in ((word[:boundary], boundary - 1), (word[boundary:], -1), (word, -1)):
        if part[-2:] in _neutral_words() or part in _neutral_words():
            tones[last] = NEUTRAL
    return tones


def _ends_weakly(word: str, tag: str) -> bool:
    """Say whether the last character is a particle, a suffix or a direction that is spoken without a tone."""
    last = word[-1]
    if word[-2:] in _FULL_TONE_ENDINGS:
        return False
    if last in _PARTICLES or last in "的得":
        return True
    if last == "地":
        return len(word) == 1 or tag in ("uv", "d", "z")  # not of 土地 and 目的地
    if len(word) == 1:
        return last in "了着过" and tag in ("ul", "uz", "ug")
    return (
        (last in "们子" and tag in ("r", "n"))
        or (last in _PLACES and tag in ("s", "l", "f"))
        or (last in _DIRECTIONS and word[-2] in _BEFORE_DIRECTIONS)
    )


def _third(word: str, tones: list[int]) -> list[int]:
    """Raise a third tone before another, by the way the word is put together."""
    if len(word) == 2:
        return _raised(tones)
    if len(word) == 3:
        boundary = first_part_length(word)
        if tones == [3, 3, 3]:
            return [2, 2, 3] if boundary == 2 else [3, 2, 3]  # 展览/馆 against 纸/老虎
        first, second = _raised(tones[:boundary]), _raised(tones[boundary:])
        # A pair that stayed as it was lets its neighbour rise: 好/喜欢.
        if second == tones[boundary:] and first[-1:] == [3] and second[:1] == [3]:
            first[-1] = 2
        return first + second
    if len(word) == 4:
        return _raised(tones[:2]) + _raised(tones[2:])
    return tones


def _raised(tones: list[int]) -> list[int]:
    return [2, 3] if tones == [3, 3] else list(tones)


@cache
def _neutral_words() -> frozenset[str]:
    """Return the words whose last syllable custom has weakened."""
    source = resources.files("sovits_core.text.chinese") / "neutral_tones.txt"
    lines = source.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
