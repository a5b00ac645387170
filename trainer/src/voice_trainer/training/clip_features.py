"""Features of one clip: computed once by stage features, read by train and evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from voice_trainer.errors import Refused


@dataclass(frozen=True)
class ClipFeatures:
    """Features of one clip, on the CPU."""

    phones: Tensor  # int64 (phones)
    bert: Tensor | None  # float32 (phones, width); None stands for zeros
    tokens: Tensor  # int64 (N), semantic tokens, 25 per second
    speaker_embedding: Tensor  # float32 (gin), of the whole clip

    def save(self, folder: Path, clip_id: str) -> None:
        """Write ``<id>.safetensors``."""
        tensors = {"phones": self.phones, "tokens": self.tokens, "speaker_embedding": self.speaker_embedding}
        if self.bert is not None:
            tensors["bert"] = self.bert
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / f"{clip_id}.safetensors")


def load_clip_features(folder: Path, clip_id: str) -> ClipFeatures:
    """Read what ``ClipFeatures.save`` wrote.

    Raises:
        Refused: ``FeaturesOutdated``; the file was written by another version of the trainer.
    """
    tensors = load_file(folder / f"{clip_id}.safetensors")
    try:
        return ClipFeatures(tensors["phones"], tensors.get("bert"), tensors["tokens"], tensors["speaker_embedding"])
    except KeyError as error:
        raise Refused(
            f"the features of clip {clip_id} have no {error}: another version of the trainer wrote them; "
            "start again with a new inputHash",
            reason="FeaturesOutdated",
        ) from error
