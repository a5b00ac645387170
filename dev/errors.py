"""Errors a person at the terminal can act on."""

from __future__ import annotations


class DevError(Exception):
    """A foreseeable error; `remedy` tells the reader how to solve it."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  remedy: {self.remedy}" if self.remedy else self.problem
