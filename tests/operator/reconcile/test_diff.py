"""Comparison of desired and actual objects."""

import pytest

from voice_operator.reconcile.diff import difference


@pytest.mark.parametrize(
    ("actual", "desired", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 1}, None, id="more than wanted"),
        pytest.param({"a": 1}, {"a": 2}, "a", id="another value"),
        pytest.param({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, None, id="defaults inside a list"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, "a", id="a longer list"),
        pytest.param({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, "a[1].b", id="inside a list"),
        pytest.param(
            {"x": {"resources": {"cpu": "500m"}}}, {"x": {"resources": {"cpu": "0.5"}}}, None, id="a quantity"
        ),
        pytest.param({}, {"a": {}}, None, id="an empty part that the API server dropped"),
        pytest.param({}, {"a": {"b": 1}}, "a", id="a missing part"),
    ],
)
def test_where_an_object_is_not_as_it_should_be(actual: object, desired: object, expected: str | None) -> None:
    assert difference(desired, actual) == expected
