"""`sovits-core verify`: run official files on given inputs, so that anyone can compare with the official code."""

from __future__ import annotations

import argparse
from pathlib import Path

from sovits_core.errors import SovitsError

HELP = "run official S1 and S2 files on given inputs, to compare with the official code"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--s1", type=Path, required=True, help="official S1 file (.ckpt)")
    parser.add_argument("--s2", type=Path, required=True, help="official S2 file (.pth) of v1, v2, v2Pro or v2ProPlus")
    parser.add_argument(
        "--inputs",
        type=Path,
        required=True,
        help="npz of phones int64 [T] (prompt and target), bert float32 [1024,T], prompt int64 [P], codes int64 [N], "
        "text int64 [M] (target alone), spec float32 [1025,F], sv float32 [20480] (Pro only), noise float32 [192,2N] "
        "(standard normal; scaled by 0.5 here)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="npz to write: s1_logits [P+1,1025], s1_greedy, wav [samples]"
    )


def run(options: argparse.Namespace) -> None:
    """Load both, run them in float32 on the CPU, and write the answers."""
    try:
        from sovits_core.official.verification import verify  # noqa: PLC0415 -- needs the extra
    except ModuleNotFoundError as error:
        raise SovitsError(f"{error.name} is not installed: install sovits-core[torch]") from error
    verify(options.s1, options.s2, options.inputs, options.out)
