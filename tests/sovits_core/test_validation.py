"""Errors of documents name field, value and reason, however many there are."""

import pytest
from pydantic import BaseModel, Field, ValidationError

from sovits_core.validation import MAX_SENTENCES, one_line, sentences


class Inner(BaseModel):
    rank: int = Field(ge=1)


class Document(BaseModel):
    name: str
    inner: Inner | None = None
    many: dict[str, int] = {}


def errors_of(document: dict[str, object]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(document)
    return caught.value


def test_a_missing_field_is_named_without_a_value() -> None:
    assert sentences(errors_of({})) == ["name: Field required"]


def test_a_nested_field_is_named_by_its_path_with_the_value_found() -> None:
    assert one_line(errors_of({"name": "a", "inner": {"rank": 0}})) == (
        "inner.rank: Input should be greater than or equal to 1 (found 0)"
    )


def test_a_long_value_is_shortened_and_many_problems_are_counted() -> None:
    found = sentences(errors_of({"name": "a", "many": {str(n): "x" * 500 for n in range(MAX_SENTENCES + 2)}}))
    assert len(found) == MAX_SENTENCES + 1
    assert max(map(len, found)) < 250
    assert found[-1] == "and 2 more"
