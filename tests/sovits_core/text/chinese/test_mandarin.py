# ruff: noqa: RUF001 -- full-width punctuation is what these tests are about
"""Mandarin text becomes the official phones, with every rule of numbers and tones, and no text makes it fail."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.support.processor_time import within

from sovits_core.errors import MissingExtra, TextRejected
from sovits_core.text import PolyphoneReader, phone_ids, phonemize
from sovits_core.text.chinese import mandarin
from sovits_core.text.chinese.numbers import cardinal, number
from sovits_core.text.chinese.readings import Reading, parse
from sovits_core.text.chinese.syllables import split_syllable
from sovits_core.text.readings import Context
from sovits_core.text.spans import SpannedText
from sovits_core.text.symbols import symbols

OFFICIAL = json.loads((Path(__file__).parents[1] / "data" / "mandarin_phones.json").read_text(encoding="utf-8"))


def normalize(text: str) -> str:
    return mandarin.normalize(SpannedText(text)).text


def phones_by_character(
    normalized: str, table: str = "v2", polyphones: PolyphoneReader | None = None
) -> tuple[list[str], list[int]]:
    words = mandarin.read(normalized, Context(table, polyphones))
    return [phone for word in words for phone in word.phones], [count for word in words for count in word.counts]


def phones(normalized: str) -> list[str]:
    return phones_by_character(normalized)[0]


@pytest.mark.parametrize("sentence", OFFICIAL, ids=lambda sentence: f"{sentence['version']} {sentence['text']}")
def test_a_sentence_is_read_as_the_official_front_end_reads_it(sentence: dict[str, object]) -> None:
    normalized = normalize(str(sentence["text"]))
    table = str(sentence["version"])
    read, word2ph = phones_by_character(normalized, table)
    assert normalized == sentence["normalized"]
    assert " ".join(read) == sentence["phones"]
    assert phone_ids(read, table) == sentence["ids"]
    assert word2ph == sentence["word2ph"]


@pytest.mark.parametrize(
    ("digits", "spoken"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("105", "一百零五"),
        ("110", "一百一十"),
        ("1010", "一千零一十"),
        ("10010", "一万零一十"),
        ("120000", "十二万"),
        ("200300", "二十万零三百"),
        ("100000001", "一亿零一"),
        ("1000000000000", "一万亿"),
        ("10002" + "0" * 8, "一万零二亿"),
        ("12345678", "一千二百三十四万五千六百七十八"),
        ("1" * 17, "一" * 17),
    ],
)
def test_a_quantity_is_said_in_groups_of_ten_thousand(digits: str, spoken: str) -> None:
    assert cardinal(digits) == spoken


def test_of_the_zeros_that_end_a_decimal_one_is_said() -> None:
    assert [number(text) for text in ("3.14", "3.500", "-0.05", "2.0")] == [
        "三点一四",
        "三点五零",
        "负零点零五",
        "二点零",
    ]


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        pytest.param("2023-05-01", "二零二三年五月一日", id="a date with hyphens"),
        pytest.param("2023/5/1", "二零二三年五月一日", id="a date with slashes"),
        pytest.param("2月14日", "二月十四日", id="a month is a name, not a count"),
        pytest.param("98年出生", "九八年出生", id="a short year"),
        pytest.param("他工作了10年", "他工作了十年", id="a number of years"),
        pytest.param("2020-2023年", "二零二零到二零二三年", id="a range of years"),
        pytest.param("5月1日-5月3日", "五月一日至五月三日", id="a range of days"),
        pytest.param("95后", "九五后", id="a generation"),
        pytest.param("8:30-10:00开会", "八点半至十点开会", id="a range of times"),
        pytest.param("10:05", "十点零五分", id="minutes below ten"),
        pytest.param("2:00", "两点", id="two o'clock"),
        pytest.param("10:30:15", "十点三十分十五秒", id="a time with seconds"),
        pytest.param("3:2获胜", "三比二获胜", id="a score"),
        pytest.param("+86 138 0013 8000", "八六,幺三八零零幺三八零零零", id="a mobile number in groups"),
        pytest.param("010-12345678", "零幺零,幺二三四五六七八", id="a landline"),
        pytest.param("400-123-4567", "四零零,幺二三,四五六七", id="a service number"),
        pytest.param("拨打110", "拨打幺幺零", id="a number to dial"),
        pytest.param("1,234,567人", "一百二十三万四千五百六十七人", id="thousands with commas"),
        pytest.param("2个人2万", "两个人两万", id="two of something"),
        pytest.param("2两酒", "二两酒", id="two ounces are not two twos"),
        pytest.param("第2个", "第二个", id="an ordinal"),
        pytest.param("第305章", "第三百零五章", id="a long ordinal"),
        pytest.param("1000+人", "一千多人", id="more than"),
        pytest.param("100多个", "一百多个", id="some hundred"),
        pytest.param("1/2杯", "二分之一杯", id="a fraction"),
        pytest.param("-3/4", "负四分之三", id="a negative fraction"),
        pytest.param("1½", "一又二分之一", id="a mixed number"),
        pytest.param("100%", "百分之一百", id="a percentage"),
        pytest.param("5‰", "千分之五", id="a permillage"),
        pytest.param("5%-10%", "百分之五到百分之十", id="a range of percentages"),
        pytest.param("38.5°C", "三十八点五度", id="a temperature"),
        pytest.param("-5~3℃", "零下五到三度", id="a range of temperatures"),
        pytest.param("3-5个", "三到五个", id="a range"),
        pytest.param("100-200元", "一百到二百元", id="a range of amounts"),
        pytest.param("¥3.5万", "三点五万元", id="yuan"),
        pytest.param("$100", "一百美元", id="dollars"),
        pytest.param("-€20", "负二十欧元", id="a debt"),
        pytest.param("5km/h", "每小时五公里", id="a speed"),
        pytest.param("100m²", "一百平方米", id="an area"),
        pytest.param("5元/斤", "五元每斤", id="a price"),
        pytest.param("-7.5", "负七点五", id="a negative decimal"),
        pytest.param(".5", "零点五", id="a decimal without its zero"),
        pytest.param("1+1=2", "一加一等于二", id="a sum"),
        pytest.param("5-3=2", "五减三等于二", id="a difference, which is no range"),
        pytest.param("3×4≈12", "三乘四约等于十二", id="a product"),
        pytest.param("10²", "十的二次方", id="a power"),
        pytest.param("1.2.3版本", "一点二点三版本", id="a version"),
        pytest.param("房间305", "房间三零五", id="a long number of nothing"),
        pytest.param("007", "零零七", id="leading zeros"),
        pytest.param("12-34-56", "十二-三十四-五十六", id="groups that are no range"),
        pytest.param("２０２３年٣月", "二零二三年三月", id="other digits"),
        pytest.param("①αβ", "一阿尔法贝塔", id="circled digits and Greek"),
        pytest.param("二〇二三", "二零二三", id="the other zero"),
    ],
)
def test_numbers_are_written_out(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("甲：乙；丙，丁、戊·己", "甲,乙,丙,丁,戊,己"),
        ("好。！？～", "好."),
        ("等等……好...嗯~", "等等…好…恩…"),
        ("你好——世界", "你好-世界"),
        ("（一）《书》“话”「語」", "一书话语"),
        ("第一行\n第二行", "第一行.第二行"),
        ("买了 3 本", "买了三本"),
        ("一 2 3", "一二,三"),
        ("嗯呣", "恩母"),
        ("今天學習Python😀", "今天学习"),
        ("乾隆說頭髮乾了", "乾隆说头发干了"),
    ],
)
def test_marks_are_mapped_and_what_is_not_chinese_is_dropped(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        pytest.param("不怕", "b u2 p a4", id="bu rises before a fourth tone"),
        pytest.param("他不去", "t a1 b u2 q v4", id="bu is joined with the next word"),
        pytest.param("不可以", "b u4 k e2 y i3", id="bu stays before a third tone"),
        pytest.param("看不懂", "k an4 b u5 d ong3", id="bu in the middle is weak"),
        pytest.param("一段", "y i2 d uan4", id="yi rises before a fourth tone"),
        pytest.param("一天", "y i4 t ian1", id="yi falls before a first tone"),
        pytest.param("一年", "y i4 n ian2", id="yi falls before a second tone"),
        pytest.param("一起", "y i4 q i3", id="yi falls before a third tone"),
        pytest.param("一个", "y i2 g e5", id="yi rises before a weak ge"),
        pytest.param("第一次", "d i4 y i1 c i04", id="an ordinal yi stays"),
        pytest.param("统一", "t ong3 y i1", id="yi at the end stays"),
        pytest.param("一,二", "y i1 , EE er4", id="yi before a mark stays"),
        pytest.param("听一听", "t ing1 y i5 t ing1", id="yi between doubled verbs is weak"),
        pytest.param("雨伞", "y v2 s an3", id="two third tones"),
        pytest.param("展览馆", "zh an2 l an2 g uan3", id="three third tones as two and one"),
        pytest.param("纸老虎", "zh ir3 l ao2 h u3", id="three third tones as one and two"),
        pytest.param("岂有此理", "q i2 y ou3 c i02 l i3", id="four third tones in pairs"),
        pytest.param("我很好", "w o3 h en2 h ao3", id="third tones of several words"),
        pytest.param("好喜欢", "h ao2 x i3 h uan5", id="a third tone before a pair that does not change"),
        pytest.param("妈妈", "m a1 m a5", id="a doubled noun"),
        pytest.param("家家户户", "j ia1 j ia1 h u4 h u4", id="a doubling that says every"),
        pytest.param("桌子", "zh uo1 z i05", id="the suffix zi"),
        pytest.param("男子", "n an2 z i03", id="zi that is a person"),
        pytest.param("孩子们", "h ai2 z i05 m en5", id="the suffix men"),
        pytest.param("家里", "j ia1 l i5", id="a place"),
        pytest.param("上来", "sh ang4 l ai5", id="a direction"),
        pytest.param("走得很快", "z ou3 d e5 h en3 k uai4", id="the particle de of a verb"),
        pytest.param("高兴地说", "g ao1 x ing4 d e5 sh uo1", id="the particle de of an adverb"),
        pytest.param("土地", "t u3 d i4", id="the noun di"),
        pytest.param("获得", "h uo4 d e2", id="the verb de"),
        pytest.param("好朋友", "h ao3 p eng2 y ou5", id="a weak syllable of a part"),
        pytest.param("一会儿", "y i2 h ui4 EE er4", id="er takes the tone before it"),
        pytest.param("女儿", "n v3 EE er2", id="er that is a child keeps its own"),
    ],
)
def test_tones_change_within_words(text: str, spoken: str) -> None:
    assert " ".join(phones(text)) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("银行行走", "y in2 h ang2 x ing2 z ou3"),
        ("重庆很重", "ch ong2 q ing4 h en3 zh ong4"),
        ("绳子很长", "sh eng2 z i05 h en3 ch ang2"),
        ("长大", "zh ang3 d a4"),
        ("音乐快乐", "y in1 y ve4 k uai4 l e4"),
        ("两只老虎", "l iang3 zh ir1 l ao2 h u3"),
    ],
)
def test_a_character_with_several_readings_is_read_by_its_word(text: str, spoken: str) -> None:
    assert " ".join(phones(text)) == spoken


def test_a_reader_of_polyphones_goes_before_the_dictionary() -> None:
    class AlwaysGrows:
        def read(self, clause: str) -> list[Reading | None]:
            return [Reading("zhang", 3) if character == "长" else None for character in clause]

    read, _ = phones_by_character("绳子很长.他长.", polyphones=AlwaysGrows())
    assert " ".join(read) == "sh eng2 z i05 h en3 zh ang3 . t a1 zh ang3 ."


@pytest.mark.parametrize(
    ("pinyin", "pair"),
    [
        ("a", ("AA", "a")),
        ("ang", ("AA", "ang")),
        ("er", ("EE", "er")),
        ("ou", ("OO", "ou")),
        ("zhi", ("zh", "ir")),
        ("ri", ("r", "ir")),
        ("si", ("s", "i0")),
        ("li", ("l", "i")),
        ("ju", ("j", "v")),
        ("xue", ("x", "ve")),
        ("quan", ("q", "van")),
        ("yun", ("y", "vn")),
        ("yan", ("y", "En")),
        ("ye", ("y", "E")),
        ("yang", ("y", "ang")),
        ("lve", ("l", "ve")),
        ("zhuang", ("zh", "uang")),
        ("weng", ("w", "eng")),
        ("hng", ("h", "eng")),
        ("", ("UNK", "UNK")),
    ],
)
def test_a_syllable_is_an_initial_and_a_final(pinyin: str, pair: tuple[str, str]) -> None:
    assert split_syllable(pinyin) == pair


def test_every_syllable_that_pypinyin_knows_is_in_both_tables() -> None:
    from pypinyin.contrib.tone_convert import to_tone3  # noqa: PLC0415 -- only this test asks the library itself
    from pypinyin.pinyin_dict import pinyin_dict  # noqa: PLC0415

    spelt = {to_tone3(one, neutral_tone_with_five=True) for ways in pinyin_dict.values() for one in ways.split(",")}
    readings = [parse(text) for text in spelt]
    assert len(readings) > 1000
    for reading in readings:
        assert reading is not None
        initial, final = split_syllable(reading.syllable)
        assert {initial, f"{final}{reading.tone}"} <= set(symbols("v1")) - {"UNK"}, reading


def test_a_character_that_no_dictionary_reads_is_two_unknown_symbols() -> None:
    assert phones_by_character("你兙.") == (["n", "i3", "UNK", "UNK", "."], [2, 2, 1])


def scattered(codes: Iterable[int]) -> str:
    """Return 4096 of these characters, always the same."""
    known = list(codes)
    return "".join(chr(known[index * 7919 * (index + 11) % len(known)]) for index in range(4096))


HOSTILE = {
    "one character": "你" * 4096,
    "a character of many states": "不" * 4096,
    "a character that jieba does not know": "龘" * 4096,
    "rare characters": "".join(map(chr, range(0x3400, 0x4400))),
    "all kinds of characters": scattered(range(33, 0xD800)),
    "signs of numbers": scattered(map(ord, "0123456789-:/.,年月日%℃个元一不儿 +~=$¥第")),
    "digits": "1" * 4096,
    "an endless range": "1-" * 2048,
    "an endless sum": "1+" * 2048,
    "fractions": "½" * 4096,
    "short clauses": "不不," * 1365,
    "er": "儿" * 4096,
    "a ligature of eighteen letters": "ﷺ" * 4096,
    "lone surrogates": "\ud800" * 4096,
    "spaces": " 1" * 2048,
    "nothing": "",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_the_text_it_is_read_within_seconds(text: str) -> None:
    phones("你好")  # what is loaded once is not counted
    normalized = normalize(text)
    read, word2ph = within(2, lambda: phones_by_character(normalize(text)))
    assert set(read) <= set(symbols("v1"))
    assert len(word2ph) == len(normalized)
    assert sum(word2ph) == len(read)


@pytest.mark.parametrize("text", ["。。。", "😀", "( )"])
def test_a_text_with_nothing_to_speak_is_refused(text: str) -> None:
    with pytest.raises(TextRejected, match="nothing to speak"):
        phonemize(text, "zh")


def test_nothing_is_written_and_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    program = """
import sys
from sovits_core.text import phonemize
assert not {"jieba", "pypinyin", "opencc", "pkg_resources"} & set(sys.modules)
print(phonemize("你好", "zh").phones)
"""
    environment = {"TMPDIR": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "('n', 'i2', 'h', 'ao3')\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_cache_in_the_temporary_folder_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "jieba.cache").write_bytes(b"not a dictionary")
    program = "from sovits_core.text import phonemize; print(phonemize('你好', 'zh'))"
    subprocess.run([sys.executable, "-c", program], env={"TMPDIR": str(tmp_path)}, check=True, capture_output=True)
    assert (tmp_path / "jieba.cache").read_bytes() == b"not a dictionary"


@pytest.mark.parametrize("package", ["jieba", "pypinyin", "opencc"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    program = f"""
import sys
sys.modules[{package!r}] = None
from sovits_core.errors import {MissingExtra.__name__}
from sovits_core.text import phonemize
try:
    phonemize("你好", "zh")
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 'pip install "sovits-core[zh]"' in done.stdout
