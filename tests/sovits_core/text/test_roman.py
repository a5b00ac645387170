"""Roman numerals in East Asian text become figures where they number something, and letters stay letters."""

import pytest

from sovits_core.text.roman import to_figures, value
from sovits_core.text.spans import SpannedText


@pytest.mark.parametrize(("numeral", "number"), [("XIV", 14), ("iv", 4), ("MCMXCIX", 1999), ("VIII", 8)])
def test_a_numeral_has_its_value(numeral: str, number: int) -> None:
    assert value(numeral) == number


@pytest.mark.parametrize(
    ("written", "figures"),
    [
        ("第Ⅲ期", "第3期"),
        ("II型糖尿病", "2型糖尿病"),
        ("第V章", "第5章"),
        ("루이 XIV세", "루이 14세"),
        ("X世代", "X世代"),
        ("VIVO手机", "VIVO手机"),
        ("IV级", "4级"),
    ],
)
def test_what_numbers_something_becomes_figures(written: str, figures: str) -> None:
    assert to_figures(SpannedText(written)).text == figures


def test_figures_know_which_letters_they_were_written_for() -> None:
    origins = to_figures(SpannedText("第XIV章")).origins
    assert [(origin.start, origin.end) for origin in origins] == [(0, 1), (1, 4), (1, 4), (4, 5)]
