"""The group with all its commands, in the order in which help lists them."""

from voice_cli.commands import show, push, render, change, people, results, examine, manuals  # noqa: F401, I001 -- declared by being imported, in this order
from voice_cli.commands.root import voice

__all__ = ["voice"]
