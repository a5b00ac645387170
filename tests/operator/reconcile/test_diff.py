"""Comparison of desired and actual objects."""

import pytest

from voice_operator.reconcile.diff import is_subset


@pytest.mark.parametrize(
    ("actual", "desired", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, True, id="more than wanted"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
        pytest.param({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True, id="defaults inside a list"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, False, id="a longer list"),
        pytest.param({}, {"a": {}}, True, id="an empty part that the API server dropped"),
        pytest.param({}, {"a": {"b": 1}}, False, id="a missing part"),
    ],
)
def test_whether_an_object_is_as_it_should_be(actual: object, desired: object, expected: bool) -> None:
    assert is_subset(desired, actual) is expected
