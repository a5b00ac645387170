"""The tree at the top of errors.py is the tree of the classes."""

import re

from voice_inference import errors
from voice_inference.errors import InferenceError


def drawn_tree(error: type[InferenceError], depth: int = 0) -> list[tuple[int, str]]:
    below = [line for child in error.__subclasses__() for line in drawn_tree(child, depth + 1)]
    return [(depth, error.__name__), *below]


def test_the_drawn_tree_has_every_class_below_its_base() -> None:
    lines = re.findall(r"^((?:[│├└─ ]{4})*)([A-Z]\w+)(?:$|  )", errors.__doc__ or "", re.MULTILINE)
    assert [(len(indent) // 4, name) for indent, name in lines] == drawn_tree(InferenceError)
