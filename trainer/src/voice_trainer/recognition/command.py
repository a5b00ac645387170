"""``voice-trainer recogniser``: what a Whisper folder is, as the chart's value ``recogniser`` names it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from voice_store import FolderStore
from voice_trainer.job.process import Process
from voice_trainer.recognition.folder import read_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("folder", metavar="FOLDER", help="a Whisper folder of transformers, or its s3:// address")


def describe(options: argparse.Namespace, process: Process) -> int:
    """Print the folder's digest and languages.

    Raises:
        Refused: it is no Whisper folder.
    """
    uri = folder_uri(options.folder)
    found = read_folder(uri, process.scratch)
    languages = ", ".join(found.languages)
    sys.stdout.write(f"recogniser:\n  uri: {uri}\n  digest: {found.digest}\n  languages: [{languages}]\n")
    return 0


def folder_uri(given: str) -> str:
    """Return the address of a folder that was given as a path or as an address."""
    return given if given.startswith(("s3://", "file:///")) else FolderStore(Path(given).absolute()).uri
