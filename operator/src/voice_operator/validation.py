"""Turns pydantic's errors into the sentences that people read: "field: value: remedy"."""

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_VALUE_CHARACTERS = 100

_SHOULD = re.compile(r"^(Input|String|Dictionary|Tuple|List|Value) should ")
_COUNT = re.compile(r" after validation, not \d+$")


def sentences(error: ValidationError) -> list[str]:
    """Return one sentence per problem; nested fields are joined by dots, as in ``spec.training.rank``."""
    return [_sentence(problem) for problem in error.errors(include_url=False)]


def _sentence(problem: "ErrorDetails") -> str:
    field = ".".join(str(part) for part in problem["loc"]) or "the document"
    value = repr(problem["input"])[:MAX_VALUE_CHARACTERS]
    match problem["type"]:
        case "missing":
            return f"{field}: missing; add it"
        case "extra_forbidden":
            return f"{field}: unknown field; correct its spelling or remove it"
        case "json_invalid":
            return f"{field}: {problem['msg']}"
        case "value_error":  # raised by a validator of ours, whose sentence names field and value
            return str(problem["ctx"]["error"])
        case _:
            return f"{field}: {value}: {_COUNT.sub('', _SHOULD.sub('must ', problem['msg']))}"
