"""Names of what is in a voice bundle; see docs/contracts.md."""

from __future__ import annotations

from typing import Final

from voice_store import BundleKind

MIB: Final = 1024 * 1024
BUNDLE_SCHEMA: Final = "voice.sovits.dev/voice-bundle/v1"
VOICE_SCHEMA: Final = "voice.sovits.dev/voice/v1"
VOICE: Final = "voice.json"
ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
PROMPT: Final = "prompt.safetensors"
REFERENCE: Final = "reference.flac"


def bundles_with(name: str, *files: str, size_limit: int) -> BundleKind:
    """Return the kind of published bundles of which some files are read, of so many bytes in all; ``name`` caches."""
    return BundleKind(
        name=name,
        index="manifest.json",
        schema=BUNDLE_SCHEMA,
        choose=lambda _: files,
        size_limit=size_limit,
        index_limit=MIB,
        files_limit=1000,
    )
