"""The symbol tables are the official ones, byte for byte."""

import pytest

from sovits_core.errors import UnknownSymbolTable
from sovits_core.text.symbols import phone_ids, symbols, symbols_sha256


@pytest.mark.parametrize(
    ("table", "size", "digest"),
    [
        ("v1", 322, "f7c3b280b9cc519b0829a6f182fcdd208643a07f1e20c1ab2bf4fc9e8e9a7ca6"),
        ("v2", 732, "0771f6cd6f6201e8c2b0de921dc69cc04caf3f346c599d4a41413967d5674da7"),
    ],
)
def test_a_table_has_the_official_size_and_hash(table: str, size: int, digest: str) -> None:
    assert len(symbols(table)) == size
    assert symbols_sha256(table) == digest


def test_ids_are_the_places_in_the_table() -> None:
    assert phone_ids(["!", "AA", "N", "SP", "UNK", "_", "zh"]) == [0, 5, 64, 77, 86, 95, 320]


def test_a_symbol_that_only_v2_has_is_unknown_in_v1() -> None:
    assert phone_ids(["[", "停"], "v2") == [322, 351]
    assert phone_ids(["[", "停"], "v1") == [86, 86]


def test_an_unknown_table_is_refused_by_name() -> None:
    with pytest.raises(UnknownSymbolTable, match="'v3' is not known; use one of v1, v2"):
        symbols("v3")
