"""Every validation error becomes one sentence: field, value, remedy."""

from typing import Annotated, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from voice_operator.validation import sentences


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field("x", max_length=3, pattern="^[a-z]+$")
    count: int = Field(1, ge=1)
    kind: Literal["a", "b"] = "a"


class Whole(BaseModel):
    part: Part = Field(default_factory=Part)
    parts: tuple[Part, ...] = ()
    bases: Annotated[dict[str, int], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_zero(self) -> Self:
        if 0 in self.bases.values():
            raise ValueError(f"bases: {self.bases}: no base may be 0")
        return self


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({}, ["bases: missing; add it"], id="missing"),
        pytest.param({"bases": {}}, ["bases: {}: must have at least 1 item"], id="too few"),
        pytest.param(
            {"bases": {"a": 1}, "part": {"nmae": "x"}},
            ["part.nmae: unknown field; correct its spelling or remove it"],
            id="unknown",
        ),
        pytest.param(
            {"bases": {"a": 1}, "parts": [{}, {"count": 0}]},
            ["parts.1.count: 0: must be greater than or equal to 1"],
            id="inside a list",
        ),
        pytest.param(
            {"bases": {"a": 1}, "part": {"name": "Ab", "kind": "c"}},
            ["part.name: 'Ab': must match pattern '^[a-z]+$'", "part.kind: 'c': must be 'a' or 'b'"],
            id="two at once",
        ),
        pytest.param(
            {"bases": {"a": "many"}},
            ["bases.a: 'many': must be a valid integer, unable to parse string as an integer"],
            id="another type",
        ),
        pytest.param({"bases": {"a": 0}}, ["bases: {'a': 0}: no base may be 0"], id="a validator of ours"),
        pytest.param(
            [],
            ["the document: []: must be a valid dictionary or instance of Whole"],
            id="no mapping at all",
        ),
    ],
)
def test_a_sentence(document: object, expected: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(document)
    assert sentences(caught.value) == expected


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ValidationError) as caught:
        Part.model_validate({"name": "x" * 10_000})
    assert len(sentences(caught.value)[0]) < 200


def test_broken_json_says_where() -> None:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate_json("{")
    assert sentences(caught.value) == ["the document: Invalid JSON: EOF while parsing an object at line 1 column 1"]
