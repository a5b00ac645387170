"""Writes trained networks as a base bundle: weights, graphs, digests, base.json."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from transformers import HubertModel

from sovits_core.bundle.base import BaseDocument, open_base
from sovits_core.export import export_graphs
from sovits_core.formats.checkpoints import load_weights, save_weights
from sovits_core.models import Discriminator
from sovits_core.models.networks import Networks
from sovits_core.text.symbols import symbols_sha256
from tiny_base.config import TinyBaseConfig
from tiny_base.errors import BundleTooLarge
from tiny_base.tokens import phone_tokens

LARGEST_BUNDLE = 25 * 1024 * 1024  # bytes; it is committed
SENTENCES = {
    "en": (
        "Good morning, and thank you for listening.",
        "The quick brown fox jumps over the lazy dog.",
        "She measured the rough stones near the harbour with great pleasure.",
        "How many voices can you hear in this room?",
        "Nothing was said for a long time, and then everybody laughed.",
        "A young judge chose the thinnest book on the shelf.",
    )
}
GATES_NOTE = (
    "These gates are this tiny base's own: its measured scores on held-out clips, less a margin for the few held-out "
    "clips of a voice. They lie far below the usual PESQ 3.5 and STOI 0.85, which a base of this size does not reach. "
    "Untrained networks measured PESQ 1.06 and STOI 0.42, so PESQ says nothing here and STOI alone tells a voice from "
    "noise."
)
# A small network's distribution is flat: a lower temperature than the official 1. Long phones are repeated tokens, so
# that the official penalty would shorten them.
SAMPLING = {"temperature": 0.4, "repetitionPenalty": 1.0}
# S2 has small matrices and a voice few clips: the adapter converges in a hundred steps only at a multiple of a job's
# learning rate. S1 would adopt a speaker's rate, at which it loses words. Adapters keep the fast variation that stage
# "adversarial_refinement" has given the prior.
FINETUNING = {
    "learningRateMultipliers": {"s1": 0.1, "s2": 25.0},
    "target": {"strategy": "smoothed", "frames": 7},
}
FLITE = {
    "name": "Synthetic speech of flite's voices slt, rms, awb and kal16",
    "licence": "Carnegie Mellon University, BSD-style",
    "source": "http://cmuflite.org",
    "attribution": "Speech made with CMU Flite; the sentences are the project's own.",
}
RECORDINGS = (
    {
        "name": "LJ Speech (subset)",
        "licence": "Public domain",
        "source": "https://keithito.com/LJ-Speech-Dataset/",
        "attribution": "Keith Ito and Linda Johnson, The LJ Speech Dataset, 2017.",
    },
    {
        "name": "LibriSpeech (subset; speakers 2033 and 2609 left out)",
        "licence": "CC BY 4.0",
        "source": "https://www.openslr.org/12",
        "attribution": "Vassil Panayotov, Guoguo Chen, Daniel Povey and Sanjeev Khudanpur, LibriSpeech, 2015.",
    },
)
WEIGHTS = {
    "name": "Weights of this base",
    "licence": "MIT",
    "source": "make base",
    "attribution": "Trained from scratch by this project.",
}


def assemble(
    folder: Path,
    config: TinyBaseConfig,
    hubert: HubertModel,
    networks: Networks,
    discriminator: Discriminator,
    *,
    gates: Mapping[str, str],
    training: Mapping[str, str],
    recordings: bool,
) -> None:
    """Write a base bundle into an empty or replaced folder.

    All weights are rounded to float16 first, so that graphs and safetensors have the same numbers.

    Raises:
        BundleTooLarge: it is larger than what may be committed.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    s1, s2 = networks.s1, networks.s2
    s2.fold_weight_norm()
    for module, name in ((s1, "s1"), (s2, "s2g"), (discriminator, "s2d")):
        save_weights(module, partial / f"{name}.safetensors")
        load_weights(module, partial / f"{name}.safetensors")
    hubert.half().save_pretrained(partial / "hubert")  # type: ignore[no-untyped-call]
    graphs = export_graphs(networks, partial)
    for path in partial.rglob("*.*"):
        path.chmod(0o644)  # safetensors writes for the owner alone; in an image another user reads them
    names = sorted(path.relative_to(partial).as_posix() for path in partial.rglob("*") if path.is_file())
    document = BaseDocument.model_validate(
        {
            "schema": "voice.sovits.dev/base/v1",
            "name": config.name,
            "version": "v2",
            "sampleRate": config.s2.sample_rate,
            "languages": ["en"],
            "symbols": "v2",
            "symbolsSha256": symbols_sha256("v2"),
            "s1": s1.config,
            "s2": s2.config,
            "s2d": discriminator.config,
            "hubert": {"hidden": config.hubert.hidden},
            "sampling": SAMPLING,
            "tokens": {"strategy": "aligned", "phoneTokens": phone_tokens()},
            "finetuning": FINETUNING,
            "gates": [{"metric": metric, "min": least} for metric, least in gates.items()],
            "gatesNote": GATES_NOTE,
            "sentences": SENTENCES,
            "licences": [WEIGHTS, FLITE, *(RECORDINGS if recordings else ())],
            "training": training,
            "files": {name: _digest(partial / name) for name in names},
            "graphs": graphs,
        }
    )
    text = json.dumps(document.model_dump(mode="json", by_alias=True, exclude_none=True), indent=1, ensure_ascii=False)
    (partial / "base.json").write_text(text + "\n", encoding="utf-8")
    base = open_base(str(partial))
    size = sum(base.path(name).stat().st_size for name in names)
    if size > LARGEST_BUNDLE:
        raise BundleTooLarge(
            f"the base is {size} bytes, at most {LARGEST_BUNDLE} may be committed: choose smaller sizes"
        )
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _digest(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
