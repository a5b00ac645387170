"""What a region writes otherwise is rewritten alike for every language, and its ways are those of CLDR."""

import pytest
from babel import Locale as Region
from babel.dates import get_date_format

from sovits_core.errors import TextRejected
from sovits_core.text import LOCALES, phonemize
from sovits_core.text.locales import in_locale
from sovits_core.text.spans import SpannedText


@pytest.mark.parametrize(
    ("locale", "written", "meant"),
    [
        ("en-US", "12/3/2024", "2024-12-03"),
        ("en-GB", "12/3/2024", "2024-03-12"),
        ("en-GB", "12.03.24 or 12-3-1999", "2024-03-12 or 1999-03-12"),
        ("en-GB", "12/3/49 and 12/3/50", "2049-03-12 and 1950-03-12"),
        ("en-GB", "3/25/2024", "2024-03-25"),
        ("en-US", "25/3/2024", "2024-03-25"),
        ("en-GB", "45/3/2024 and 13/14/2024", "45/3/2024 and 13/14/2024"),
        ("ja-JP", "24/3/12", "2024-03-12"),
        ("ja-JP", "12/3/2024", "12/3/2024"),
        ("en-GB", "on 12/3, by 25/12, on 3/25", "on 3/12, by 12/25, on 3/25"),
        ("en-GB", "1/2 cup of 3/4", "1/2 cup of 3/4"),
        ("en-US", "on 12/3", "on 12/3"),
        ("en-GB", "1,234.5 and 1.234", "1,234.5 and 1.234"),
        ("de-DE", "1.234,5 and 1.234 and 1,5", "1,234.5 and 1,234 and 1.5"),
        ("de-DE", "1.234.567,89 €", "1,234,567.89 €"),
        ("de-DE", "192.168.100.200", "192.168.100.200"),
        ("de-DE", "v1.234, 1.2.3 and 1,2,3", "v1.234, 1.2.3 and 1,2,3"),
        ("de-DE", "0.125", "0.125"),
        ("de-DE", "3, 4 and 5.", "3, 4 and 5."),
        ("fr-FR", "1\u202f234,5 and 1\u00a0234", "1,234.5 and 1,234"),
        ("fr-FR", "2024 100", "2024 100"),
        ("de-CH", "1'234.5 and 1\u2019234", "1,234.5 and 1,234"),
        ("de-CH", "5'11", "5'11"),
        ("", "12/3/2024 and 1.234,5", "12/3/2024 and 1.234,5"),
    ],
)
def test_dates_and_numbers(locale: str, written: str, meant: str) -> None:
    assert in_locale(SpannedText(written), locale).text == meant


@pytest.mark.parametrize(
    ("language", "text", "normalized"),
    [
        ("en", "Due 12/3/2024.", "Due March twelfth, twenty twenty-four."),
        ("zh", "日期是12/3/2024。", "日期是二零二四年三月十二日."),
        ("yue", "日期係12/3/2024。", "日期系二零二四年三月十二日."),
        ("ja", "日付は12/3/2024です。", "日付は2024年3月12日です。"),
        ("ko", "날짜는 12/3/2024이다.", "날짜는 이천이십사년 삼월 십이일이다."),
    ],
)
def test_every_language_reads_what_is_rewritten(language: str, text: str, normalized: str) -> None:
    assert phonemize(text, language, locale="en-GB").normalized == normalized


def test_words_know_where_they_stood() -> None:
    part = phonemize("Due 12/3/2024.", "en", locale="en-GB").segments[0]
    start = part.normalized.index("March")
    assert part.origins[start][:2] == (4, 13)


def test_an_unknown_locale_is_refused_by_name() -> None:
    with pytest.raises(TextRejected, match=r"locale 'en-UK' is not known; use one of: .*en-GB, .*zh-TW"):
        phonemize("12/3/2024", "en", locale="en-UK")


@pytest.mark.parametrize("name", LOCALES)
def test_the_ways_of_a_region_are_those_of_cldr(name: str) -> None:
    region = Region.parse(name, sep="-")
    pattern = get_date_format("short", region).pattern
    symbols = region.number_symbols["latn"]
    group = symbols["group"].replace("\u202f", "\u00a0").replace("\u2019", "'")
    order = "".join(sorted("dmy", key=pattern.lower().index))
    assert LOCALES[name] == (order, (symbols["decimal"], group))
