"""Names of what is in a voice bundle; see docs/contracts.md."""

from __future__ import annotations

from typing import Final

BUNDLE_SCHEMA: Final = "voice.sovits.dev/voice-bundle/v1"
VOICE_SCHEMA: Final = "voice.sovits.dev/voice/v1"
VOICE: Final = "voice.json"
ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
PROMPT: Final = "prompt.safetensors"
REFERENCE: Final = "reference.flac"
