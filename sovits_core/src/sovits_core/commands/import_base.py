"""`sovits-core import-base`: make a base bundle of official files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sovits_core.errors import SovitsError
from sovits_core.text.lexicon_file import LEXICON_FILE

HELP = "make a base bundle of official files"
GATES_NOTE = (
    "the base names no gates, so voices must reach PESQ 3.5 and STOI 0.85, which few can: measure what it reaches with "
    "voice-trainer calibrate --base FOLDER --recordings SPEAKER… before its first use, as gates are part of its digest"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--s1", type=Path, required=True, help="official S1 file (.ckpt)")
    parser.add_argument("--s2g", type=Path, required=True, help="official S2 generator of a base (s2G…, .pth)")
    parser.add_argument("--s2d", type=Path, help="its discriminator (.pth), for training; v1, v2 and Pro")
    parser.add_argument("--lora", type=Path, help="a v3 or v4 voice's LoRA file to merge into the generator")
    parser.add_argument("--hubert", type=Path, help="folder of chinese-hubert-base; needed to train and to add voices")
    parser.add_argument("--bert", type=Path, help="folder of chinese-roberta-wwm-ext-large; needed for zh")
    parser.add_argument("--g2pw", type=Path, help="folder of a g2pW model, to read Mandarin's polyphones in context")
    parser.add_argument(
        "--lexicon", type=Path, help=f"readings of words that every voice of the base has: {LEXICON_FILE}"
    )
    parser.add_argument("--sv", type=Path, help="ERes2NetV2 file; needed by v2Pro and v2ProPlus")
    parser.add_argument("--vocoder", type=Path, help="vocoder.pth for v4, bigvgan_generator.pt for v3")
    parser.add_argument("--name", required=True, help="name of the base, as in base.json")
    parser.add_argument("--out", type=Path, required=True, help="folder to make; it must not exist")
    parser.add_argument("--version", help="where the files do not say it: v3 or v4; checked in every case")


def run(options: argparse.Namespace) -> None:
    """Make the bundle, and print its digest."""
    try:
        from sovits_core.official.importing import Sources, import_base  # noqa: PLC0415 -- needs the extra
    except ModuleNotFoundError as error:
        raise SovitsError(f"{error.name} is not installed: install sovits-core[torch]") from error
    sources = Sources(
        options.s1,
        options.s2g,
        options.s2d,
        options.lora,
        options.hubert,
        options.bert,
        options.sv,
        options.vocoder,
        options.g2pw,
        options.lexicon,
    )
    base = import_base(sources, options.name, options.out, options.version, _say)
    for missing in missing_parts(base.document.version, options):
        _say(f"note: {missing}")
    _say(f"note: {GATES_NOTE}")
    print(base.digest)  # noqa: T201 -- the command's output


def missing_parts(version: str, options: argparse.Namespace) -> list[str]:
    """Return a sentence for each ability that the base lacks because a file was not given."""
    notes = []
    if not options.hubert:
        notes.append("without --hubert no voice can be trained on this base")
    if not options.bert:
        notes.append("without --bert zh is spoken without its text features, worse than it could be")
    if not options.g2pw:
        notes.append("without --g2pw zh is read by phrases alone, which miss some readings of polyphones")
    if not options.sv and version in {"v2Pro", "v2ProPlus"}:
        notes.append(f"without --sv no voice can be trained on this base: {version} wants a speaker vector")
    return notes


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- a command speaks to its user
