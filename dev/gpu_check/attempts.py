"""Attempts of stage train as processes of their own, the first of which runs out of the GPU's memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dev.gpu_check.sizes import Sizes, write_base, write_prepared
from dev.terminal import tail
from voice_trainer.job.document import read_job
from voice_trainer.job.limits import Limits
from voice_trainer.job.process import Process, run_process
from voice_trainer.job.workspace import Workspace

OUT_OF_GPU_MEMORY = 90
INPUT = "9" * 64
# The trainer, held to a share of the GPU's memory.
PROGRAM = """
import sys, torch
share, arguments = float(sys.argv[1]), sys.argv[2:]
if share < 1:
    torch.cuda.set_per_process_memory_fraction(share)
from voice_trainer.__main__ import main
sys.exit(main(arguments))
"""


class Voice:
    """A voice whose recordings are prepared: only training is left to do."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.document: dict[str, Any] = {
            "schema": "voice.sovits.dev/job/v1",
            "voice": {"namespace": "check", "name": "noise"},
            "revision": "noise-99999999",
            "inputHash": INPUT,
            "language": "en",
            "dataset": {"uri": (folder / "recordings").as_uri()},
            "consent": {"holder": "nobody", "statement": "It is noise."},
            "base": {"name": sizes.name, "uri": write_base(folder / "base", sizes).as_uri()},
            "training": {"epochs": sizes.epochs, "batchSize": max(sizes.batches)},
            "store": {"workspace": (folder / "store").as_uri(), "revision": (folder / "revision").as_uri()},
        }
        self._prepare(sizes)

    def attempt(self, number: int, divisor: int, device: str, share: float = 1.0) -> dict[str, Any]:
        """Run stage train; returns its exit code, seconds and, where it succeeded, its summary."""
        job, log = self.folder / "job.json", self.folder / f"attempt-{number}.log"
        given = {"attempt": {"number": number, "batchSizeDivisor": divisor}, "compute": {"device": device}}
        job.write_text(json.dumps(self.document | given), encoding="utf-8")
        command = [sys.executable, "-c", PROGRAM, str(share), "run", "--job", str(job), "--stages", "train"]
        begun = time.monotonic()
        with log.open("wb") as output:
            code = subprocess.run(command, env=dict(os.environ), stderr=output, check=False).returncode
        found: dict[str, Any] = {"exitCode": code, "seconds": round(time.monotonic() - begun, 1)}
        if code == 0:
            manifest = json.loads((self.folder / "store/train/manifest.json").read_bytes())
            return found | {"summary": manifest["summary"]}
        return found | {"log": tail(log, 5)}

    def forget(self) -> None:
        """Let the next attempt train from the start."""
        (self.folder / "store/train/manifest.json").unlink(missing_ok=True)

    def _prepare(self, sizes: Sizes) -> None:
        job = self.folder / "job.json"
        job.write_text(json.dumps(self.document), encoding="utf-8")

        def commit(process: Process) -> int:
            workspace: Workspace = process.open(read_job(job))
            prepared, features = workspace.begin("prepare"), workspace.begin("features")
            write_prepared(prepared, features, sizes)
            for stage in ("prepare", "features"):
                workspace.commit(stage, {}, started_at="2026-01-01T00:00:00Z")
            return 0

        run_process(commit, Limits())
