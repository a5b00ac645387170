"""The model card of a voice: what it is made from, who allowed it, how it measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def model_card(voice: Mapping[str, Any], digest: str) -> str:
    """Return the text of README.md; the same bundle gives the same text.

    Args:
        voice: the bundle's ``voice.json``.
        digest: of the bundle's manifest, ``sha256:…``.
    """
    head = {
        "language": [voice["language"]],
        "license": "other",
        "license_name": "by-consent-of-the-speaker",
        "library_name": "peft",
        "pipeline_tag": "text-to-speech",
        "tags": ["gpt-sovits", "lora", "voice-operator", "synthetic-voice"],
        "model-index": [
            {
                "name": voice["revision"],
                "results": [
                    {
                        "task": {"type": "text-to-speech"},
                        "dataset": {"type": "recordings", "name": "held-out recordings of the speaker"},
                        "metrics": [
                            {"type": name, "name": name, "value": float(value)}
                            for name, value in sorted(voice["scores"].items())
                        ],
                    }
                ],
            }
        ],
    }
    consent = voice["consent"]
    rows = {
        "Base model": f"{voice['base']['name']} (`{voice['base']['digest']}`), whose licence applies too",
        "Adapter": f"LoRA of rank {voice['adapter']['rank']}, `sha256:{voice['adapter']['sha256']}`",
        "Bundle": f"`{digest}`",
        "Input": f"`{voice['inputHash']}`",
        "Source": " ".join(str(voice["source"].get(name) or "") for name in ("repository", "commit")).strip() or "none",
        "Made": voice["createdAt"],
        "Speaker's consent": _line(consent.get("statement")),
        "Evidence": " ".join(_line(consent.get(name)) for name in ("evidence", "evidenceDigest")).strip() or "none",
        "Consent ends": consent.get("expires") or "when it is revoked",
    }
    table = "".join(f"| {name} | {_cell(text)} |\n" for name, text in rows.items())
    scores = "".join(f"| {_cell(name)} | {_cell(value)} |\n" for name, value in sorted(voice["scores"].items()))
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        f"# {voice['voice']['name']}\n\n"
        "A synthetic voice: a LoRA adapter for a GPT-SoVITS base, made by voice-operator from recordings of a person "
        "who allowed it. It speaks only together with its base model. Say that a machine speaks wherever it is "
        "heard.\n\n"
        f"| | |\n| --- | --- |\n{table}\n"
        f"| score | mean |\n| --- | --- |\n{scores}\n"
        "`report.html` tells how the scores were measured, and `manifest.json` has the digest of every file.\n"
    )


def _line(text: object) -> str:
    return " ".join(str(text or "").split())


def _cell(text: object) -> str:
    """Return text that stays within a cell: no markup and no bars of its own, but for code that we write."""
    return _line(text).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
