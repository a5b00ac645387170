"""The phone tables of the family: which symbol has which id, and a hash that ties weights to their table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from sovits_core.errors import UnknownSymbolTable

# v1 is the beginning of v2: later versions only appended Japanese pitch marks, Korean and Cantonese.
SIZES = {"v1": 322, "v2": 732}
UNKNOWN = "UNK"


@cache
def symbols(table: str = "v2") -> tuple[str, ...]:
    """Return the symbols in the order of their ids; raise UnknownSymbolTable for a name other than v1 and v2."""
    if table not in SIZES:
        raise UnknownSymbolTable(f"symbol table {table!r} is not known; use one of {', '.join(SIZES)}")
    source = resources.files("sovits_core.text") / "symbols_v2.txt"
    return tuple(source.read_text(encoding="utf-8").splitlines()[: SIZES[table]])


@cache
def symbols_sha256(table: str = "v2") -> str:
    """Return the hex SHA-256 of the symbols joined by newlines; weights are only valid with the same one."""
    return hashlib.sha256("\n".join(symbols(table)).encode()).hexdigest()


@cache
def _ids(table: str) -> dict[str, int]:
    return {symbol: index for index, symbol in enumerate(symbols(table))}


def phone_ids(phones: Iterable[str], table: str = "v2") -> list[int]:
    """Return the ids of phones; one that is not in the table becomes UNK, as the official weights were trained."""
    ids = _ids(table)
    return [ids.get(phone, ids[UNKNOWN]) for phone in phones]
