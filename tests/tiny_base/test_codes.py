"""Codebook of the tiny base: every code stands for one sub-phone state."""

from tiny_base.codes import CODES, HALVES, phone_codes


def test_each_phone_has_codes_and_each_code_stands_for_one_phone() -> None:
    tokens = phone_codes()
    assert sorted(code for states in tokens.values() for state in states for code in state) == list(range(len(CODES)))
    assert {HALVES[CODES[code].half] for code in tokens["OY"][1]} == {"OY2"}
