"""`make gpu-check`: speed, memory and losses of training, and a real exit 90, into out/gpu/check.json."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from dev.errors import DevError
from dev.gpu_check.attempts import OUT_OF_GPU_MEMORY, Voice
from dev.gpu_check.measure import Name, compare, speed
from dev.gpu_check.sizes import Sizes, official, tiny
from dev.paths import REPOSITORY
from dev.terminal import main_of, say

MOST_SECONDS = 600.0


def main() -> int:
    """Measure, write the file, and fail where an attempt did not end as it must."""
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() and options.sizes != "tiny" else "cpu")
    sizes = official() if device.type == "cuda" else tiny()
    begun = time.monotonic()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "sizes": sizes.name,
    }
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        say("> speed and memory by batch")
        found["batches"] = [_speed(sizes, device, *one) for one in _plan(sizes, device)]
        say("> losses in 32 and 16 bits")
        found["precision"] = compare(sizes, device)
        _release()
        voice = Voice(Path(folder), sizes)
        say(f"> a fine-tune of {sizes.audio_seconds} s of audio")
        found["finetune"] = {"audioSeconds": sizes.audio_seconds} | _succeeded(voice.attempt(1, 1, device.type))
        voice.forget()
        say("> an attempt whose memory does not suffice, and the next one")
        found["outOfMemory"] = _out_of_memory(voice, found["finetune"], device)
    found["seconds"] = round(time.monotonic() - begun, 1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    say(f"    {options.out}: {found['seconds']} s")
    if found["seconds"] > MOST_SECONDS:
        raise DevError(f"it took {found['seconds']:.0f} s", remedy="measure fewer batches (dev/gpu_check/sizes.py)")
    return 0


def _plan(sizes: Sizes, device: torch.device) -> list[tuple[int, Name, bool]]:
    names: tuple[Name, ...] = ("fp32", "bf16") if device.type == "cuda" else ("fp32",)
    return [(batch, name, recompute) for name in names for recompute in (False, True) for batch in sizes.batches]


def _speed(sizes: Sizes, device: torch.device, batch: int, precision: Name, recompute: bool) -> dict[str, Any]:
    row = speed(sizes, device, batch, precision, recompute=recompute)
    _release()
    return row


def _out_of_memory(voice: Voice, whole: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Give an attempt less memory than a whole batch takes; on a CPU, where none can run out, only the second runs."""
    peak = whole["summary"]["peakMemoryMiB"]
    share = 1.0
    if device.type == "cuda":
        share = 0.7 * peak * 2**20 / torch.cuda.get_device_properties(device).total_memory
        first = voice.attempt(2, 1, device.type, share)
        if first["exitCode"] != OUT_OF_GPU_MEMORY:
            raise DevError(f"an attempt with 70 % of the memory ended with {first['exitCode']}:\n{first.get('log')}")
    second = _succeeded(voice.attempt(3, 2, device.type, share))
    steps = (whole["summary"]["steps"], second["summary"]["steps"])
    if len(set(steps)) > 1:
        raise DevError(f"whole batches made {steps[0]} steps, and parts of them {steps[1]}")
    return {"provoked": device.type == "cuda", "limitMiB": round(0.7 * peak), "second": second}


def _succeeded(attempt: dict[str, Any]) -> dict[str, Any]:
    if attempt["exitCode"]:
        raise DevError(f"stage train ended with {attempt['exitCode']}; the end of its log:\n{attempt['log']}")
    return attempt


def _release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--sizes", choices=("auto", "tiny"), default="auto", help="auto: official on a GPU, else tiny")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out/gpu/check.json", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main_of(main))
