"""`make bench-text`: its sentences differ, and every language has its figures."""

import pytest
from dev import text_bench


@pytest.mark.parametrize("language", text_bench.TEXTS)
def test_a_language_is_measured(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_bench, "CHARACTERS", 2000)
    found = list(text_bench.sentences(language))
    assert len(set(found)) == len(found) > 10
    row = text_bench.measured(language)
    assert row["charactersPerSecond"] > 0
    assert len(row["mib"]) == text_bench.SAMPLES
    assert row["mib"] == sorted(row["mib"])
