"""Durations and quantities, as Kubernetes reads them."""

from fractions import Fraction

import pytest

from voice_operator.units import mebibytes, quantity, seconds


@pytest.mark.parametrize(("text", "expected"), [("12h", 43200), ("90m", 5400), ("1h30m", 5400), ("45s", 45)])
def test_durations(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "12", "h", "1d", "-1h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16Gi", 16 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("16G", 16 * 10**9),
        ("128974848", 128974848),
        (4, 4),
        (0.5, Fraction(1, 2)),
        ("129e6", 129 * 10**6),
        ("1E3", 1000),
        ("1E", 10**18),
        ("500m", Fraction(1, 2)),
        ("250u", Fraction(1, 4000)),
        (".5Mi", 2**19),
        ("2.Ki", 2048),
    ],
)
def test_quantities(text: str | float, expected: Fraction | int) -> None:
    assert quantity(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "16 Gi", "16GB", "Gi", "1e999", "0x10", "--1"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity such as 16Gi"):
        quantity(text)


def test_sizes_are_rounded_up_to_whole_mebibytes() -> None:
    assert mebibytes(quantity("16Gi") * Fraction(3, 2)) == "24576Mi"
    assert mebibytes(Fraction(2**20) + 1) == "2Mi"
