"""Scopes: which voices a pattern means."""

import pytest
from pydantic import ValidationError

from voice_inference.access.api_keys import KeyEntry
from voice_inference.access.callers import Scope

HASH = "0" * 64


@pytest.mark.parametrize(
    ("pattern", "allowed", "hidden"),
    [
        pytest.param("studio/alice", ["studio/alice"], ["studio/alice2", "studio", "alice", ""], id="one voice"),
        pytest.param(
            "studio/*", ["studio/alice", "studio/bob"], ["studio2/alice", "team/studio", "studio"], id="all of one"
        ),
        pytest.param("studio/al*", ["studio/alice", "studio/al"], ["studio/bob", "team/alice"], id="a beginning"),
        pytest.param("*/alice", ["studio/alice", "team/alice"], ["studio/bob"], id="a name anywhere"),
        pytest.param("*/*", ["studio/alice", "team/bob"], ["alice", ""], id="everything"),
    ],
)
def test_a_pattern_means(pattern: str, allowed: list[str], hidden: list[str]) -> None:
    scope = Scope((pattern,))
    assert [one for one in [*allowed, *hidden] if scope.allows(one)] == allowed
    assert KeyEntry(id="app", sha256=HASH, voices=(pattern,)).voices == (pattern,)


@pytest.mark.parametrize(
    "pattern", ["*", "", "alice", "stu*/alice", "studio/", "studio/a*b", "Studio/a", "studio/../x"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="names no voices"):
        KeyEntry(id="app", sha256=HASH, voices=(pattern,))
