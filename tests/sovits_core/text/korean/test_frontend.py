"""Korean text becomes the letters that are pronounced, article by article of the standard pronunciation."""

import json
from pathlib import Path

import pytest

from sovits_core.text import phone_ids, phonemize
from sovits_core.text.korean.frontend import normalize
from sovits_core.text.korean.letters import Syllable, letters, split_syllable
from sovits_core.text.spans import SpannedText

CASES: list[dict[str, str]] = json.loads((Path(__file__).parents[1] / "data" / "korean_phones.json").read_text("utf-8"))
BETTER = {
    # The official front end puts its list of exceptions (꽃잎 → 꼰닙) before the rules, so that the p of 잎 is
    # lost; the dictionary of the National Institute has 꼰니피.
    "꽃잎이 떨어진다.": "ㄲ ㅗ ㄴ ㄴ ㅣ ㅍ ㅣ 空 ㄸ ㅓ ㄹ ㅓ ㅈ ㅣ ㄴ ㄷ ㅏ .",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_a_sentence_is_read_as_the_official_front_end_reads_it_or_better(case: dict[str, str]) -> None:
    phones = phonemize(case["text"], "ko").phones
    assert " ".join(phones) == BETTER.get(case["text"], case["phones"])
    if case["text"] not in BETTER:
        assert phone_ids(phones, case["symbols"]) == [int(number) for number in case["ids"].split()]


def _as_written(text: str) -> str:
    """Return the phones of a text that is spelled as it sounds."""
    marks = {" ": ["空"], ",": [","], ".": ["."]}
    found: list[str] = []
    for character in text:
        syllable = split_syllable(character)
        found += letters(syllable) if isinstance(syllable, Syllable) else marks[character]
    return " ".join(found if text.endswith(".") else [*found, "."])


@pytest.mark.parametrize(
    ("text", "sounds", "rule"),
    [
        ("가져, 다쳐", "가저, 다처", "[5] ㅕ after ㅈ, ㅊ"),
        ("희망, 무늬, 의사", "히망, 무니, 의사", "[5] ㅢ after a consonant"),
        ("닦다, 키읔", "닥따, 키윽", "[9] seven codas"),
        ("옷, 있다, 밭, 앞", "옫, 읻따, 받, 압", "[9] seven codas"),
        ("넋, 앉다, 여덟, 값", "넉, 안따, 여덜, 갑", "[10] the first of two letters"),
        ("밟다, 밟는, 밟아", "밥따, 밤는, 발바", "[10] the second letter of 밟"),
        ("넓죽하다", "넙쭈카다", "[10] an exception"),
        ("닭, 흙과, 삶", "닥, 흑꽈, 삼", "[11] the second of two letters"),
        ("맑게 읽고", "말께 일꼬", "[11] stems in ㄺ before ㄱ"),
        ("놓고 많다 닳지", "노코 만타 달치", "[12] ㅎ before a plain consonant"),
        ("각하 맏형 좁히다 꽂히다", "가카 마텽 조피다 꼬치다", "[12] ㅎ after a stop"),
        ("옷 한 벌, 낮 한때", "오 탄 벌, 나 탄때", "[12] ㅎ after a stop, across a space"),
        ("닿소 많소", "다쏘 만쏘", "[12] ㅎ before ㅅ"),
        ("놓는 않네 뚫네", "논는 안네 뚤레", "[12] ㅎ before ㄴ"),
        ("낳은 많아 싫어도", "나은 마나 시러도", "[12] ㅎ before a vowel"),
        ("깎아 옷이 있어", "까까 오시 이써", "[13] one letter moves"),
        ("앉아 닭을 값을 없어", "안자 달글 갑쓸 업써", "[14] the second of two moves"),
        ("밭 아래 겉옷", "받 아래 거돋", "[15] before a word of its own"),
        ("맛없다 맛있다", "마덥따 마싣따", "[15] before a word of its own"),
        ("디귿이 히읗을", "디그시 히으슬", "[16] names of letters"),
        ("굳이 밭이 벼훑이", "구지 바치 벼훌치", "[17] ㄷ, ㅌ before 이"),
        ("굳히다 닫혀 붙여", "구치다 다처 부처", "[17] ㄷ before 히"),
        ("먹는 닫는 밥물", "멍는 단는 밤물", "[18] stops before nasals"),
        ("책 먹는다", "챙 멍는다", "[18] across a space"),
        ("담력, 강릉", "담녁, 강능", "[19] ㄹ after ㅁ, ㅇ"),
        ("협력, 막론, 십 리", "혐녁, 망논, 심 니", "[19] ㄹ after stops"),
        ("난로 칼날 끓는", "날로 칼랄 끌른", "[20] ㄴ beside ㄹ"),
        ("의견란 입원료", "의견난 이붠뇨", "[20] exceptions"),
        ("나를 내려", "나를 내려", "no [20] after the marker of an object"),
        ("국밥 옷고름 값지다", "국빱 옫꼬름 갑찌다", "[23] after stops"),
        ("신을 신고 갔다 앉고 삶다", "시늘 신꼬 갇따 안꼬 삼따", "[24] after stems in ㄴ, ㅁ"),
        ("안기다", "안기다", "no [24] before a suffix"),
        ("넓게 핥다", "널께 할따", "[25] after stems in ㄼ, ㄾ"),
        ("여덟도", "여덜도", "no [25] after nouns"),
        ("갈등 발전 물질", "갈뜽 발쩐 물찔", "[26] words from Chinese"),
        ("할 것을 갈 곳", "할 꺼슬 갈 꼳", "[27] after a verb's ㄹ"),
        ("할수록, 갈게요", "할쑤록, 갈께요", "[27] endings in ㄹ"),
        ("알지", "알지", "no [27] after a stem in ㄹ"),
        ("문고리 술잔", "문꼬리 술짠", "[28] compounds"),
        ("예술잔치 마지막일", "예술잔치 마지마길", "no exception across words"),
        ("솜이불 색연필 부산역", "솜니불 생년필 부산녁", "[29] an n is added"),
        ("물약, 서울역", "물략, 서울력", "[29] and becomes ㄹ"),
        ("깻잎, 나뭇잎", "깬닙, 나문닙", "[30] ㅅ of compounds"),
    ],
)
def test_a_rule_of_pronunciation(text: str, sounds: str, rule: str) -> None:
    assert " ".join(phonemize(text, "ko").phones) == _as_written(sounds), rule


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("3개 21살 20명", "세개 스물한살 스무명"),
        ("100개 2개월 5분", "백개 이개월 오분"),
        ("2024년 10월 6일", "이천이십사년 시월 육일"),
        ("2024/6/3", "이천이십사년 유월 삼일"),
        ("10:30 9:00", "열시 삼십분 아홉시"),
        ("1,234,567원", "백이십삼만 사천오백육십칠원"),
        ("10000 20000", "만 이만"),
        ("3.14 -5", "삼 점 일사 마이너스 오"),
        ("010-123-4567 007", "공일공 일이삼 사오육칠 공공칠"),
        ("50% 25℃ 5kg", "오십퍼센트 이십오도 오킬로그램"),
        ("$5 10~20분", "오달러 십에서 이십분"),
        ("12345678901234567", "일이삼사오육칠팔구공일이삼사오육칠"),
        ("學校에 간다", "학교에 간다"),
        ("\uff2b\uff22\uff33 뉴스", "케이비에스 뉴스"),
    ],
)
def test_numbers_letters_and_signs_are_written_in_hangul(text: str, normalized: str) -> None:
    assert normalize(SpannedText(text)).text == normalized
