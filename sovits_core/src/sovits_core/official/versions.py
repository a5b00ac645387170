"""Which part and version of the family a set of official weights is, told by its keys and shapes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

from pydantic import ValidationError
from torch import Tensor

from sovits_core.bundle.model_config import TextToSemanticConfig
from sovits_core.errors import OfficialFileRejected
from sovits_core.validation import one_line

Version = Literal["v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4"]
VERSIONS: tuple[Version, ...] = get_args(Version)

HEAD_VERSIONS: dict[str, Version] = {
    "00": "v1", "01": "v2", "02": "v3", "03": "v3", "04": "v4", "05": "v2Pro", "06": "v2ProPlus",
}  # fmt: skip
SYMBOLS: dict[Version, Literal["v1", "v2"]] = {version: "v1" if version == "v1" else "v2" for version in VERSIONS}
S1_PHONEMES = {"v1": 512, "v2": 732}
"""Rows of S1's phoneme table; v1 uses the first 322 of its 512."""


class Part(StrEnum):
    """The kind of a file, as errors name it."""

    S1 = "an S1 (text to semantic) checkpoint"
    S2 = "an S2 generator"
    S2D = "an S2 discriminator"
    LORA = "a v3/v4 LoRA file"
    VOCODER = "a v4 vocoder"
    BIGVGAN = "a BigVGAN vocoder"
    SPEAKER = "a speaker encoder (ERes2NetV2)"


MEL_VERSIONS: tuple[Version, ...] = ("v3", "v4")
"""Those whose S2 decodes a mel, by flow matching; their shapes are the same."""
SIGNS = (
    (Part.S1, re.compile(r"^model\.ar_")),
    (Part.LORA, re.compile(r"^cfm\.base_model\.")),
    (Part.S2, re.compile(r"^cfm\.estimator\.|^enc_p\.")),
    (Part.S2D, re.compile(r"^discriminators\.")),
    (Part.BIGVGAN, re.compile(r"\.act\.alpha$")),
    (Part.VOCODER, re.compile(r"^conv_pre\.")),
    (Part.SPEAKER, re.compile(r"^fuse34\.")),
)
"""The kind that the first matching key implies; the order matters, as LoRA files repeat parts of S2."""
OF_OTHERS: Mapping[Part, tuple[Version, ...]] = {
    Part.LORA: MEL_VERSIONS,
    Part.BIGVGAN: ("v3",),
    Part.VOCODER: ("v4",),
    Part.SPEAKER: ("v2Pro", "v2ProPlus"),
}


@dataclass(frozen=True)
class Detected:
    """A part and, where its weights tell, the versions it may be of."""

    part: Part
    versions: tuple[Version, ...]
    posterior: bool = False
    """Whether there is a posterior encoder; fine-tuned S2 files of the first four versions leave it out."""


def detect(weights: Mapping[str, Tensor]) -> Detected:
    """Tell part and possible versions from keys and shapes alone.

    Raises:
        OfficialFileRejected: they are of nothing in the family, or of a version that is not known.
    """
    for part, sign in SIGNS:
        if any(sign.search(key) for key in weights):
            return Detected(part, _versions_of(part, weights), any(key.startswith("enc_q.") for key in weights))
    some = ", ".join(key[:60] for key in list(weights)[:3]) or "none"
    raise OfficialFileRejected(f"its weights belong to no part of the family (its keys begin: {some})")


def _versions_of(part: Part, weights: Mapping[str, Tensor]) -> tuple[Version, ...]:
    match part:
        case Part.S1:
            return _s1_versions(_rows(weights, "model.ar_text_embedding.word_embeddings.weight"))
        case Part.S2:
            return (_s2_version(weights),) if "dec.conv_pre.weight" in weights else MEL_VERSIONS
        case Part.S2D:
            return _s2d_versions(weights)
    return OF_OTHERS[part]


def choose_version(found: Detected, head: str, config: Mapping[str, Any], asked: str | None) -> Version:
    """The version of weights that may be of several, by the file's head, its settings, and what the user said.

    Raises:
        OfficialFileRejected: the sources disagree, or none of them tells.
    """
    if asked is not None and asked not in VERSIONS:
        raise OfficialFileRejected(f"version {asked!r} is not known; use one of {', '.join(VERSIONS)}")
    if asked is not None and asked not in found.versions:
        raise OfficialFileRejected(
            f"its weights are those of {' or '.join(found.versions)}, but {asked} is wanted: give the file of {asked}"
        )
    recorded = HEAD_VERSIONS.get(head) or _setting(config, "version")
    if len(found.versions) == 1:
        return found.versions[0]
    if asked is not None and recorded in found.versions and asked != recorded:
        raise OfficialFileRejected(f"it says that it is of {recorded}, but {asked} is wanted: give the file of {asked}")
    for version in found.versions:
        if version == (asked or recorded):
            return version
    raise OfficialFileRejected(
        f"its weights fit {' and '.join(found.versions)} alike and it does not say which it is: add --version"
    )


def s1_config(weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> TextToSemanticConfig:
    """Sizes of an S1 from its shapes; what the file's own `config.model` says must agree with them.

    Raises:
        OfficialFileRejected: settings and shapes disagree, or the sizes are impossible.
    """
    phonemes, hidden = _shape(weights, "model.ar_text_embedding.word_embeddings.weight", 2)
    vocabulary, _ = _shape(weights, "model.ar_predict_layer.weight", 2)
    _, bert = _shape(weights, "model.bert_proj.weight", 2)
    inner, _ = _shape(weights, "model.h.layers.0.linear1.weight", 2)
    layers = 1 + max(int(found[1]) for key in weights if (found := re.match(r"model\.h\.layers\.(\d{1,3})\.", key)))
    shapes = {
        "vocab_size": vocabulary, "phoneme_vocab_size": phonemes, "embedding_dim": hidden, "hidden_dim": hidden,
        "n_layer": layers, "EOS": vocabulary - 1,
    }  # fmt: skip
    for name, size in shapes.items():
        said = _setting(settings, name)
        if said is not None and said != size:
            raise OfficialFileRejected(
                f"its settings say {name} {said!s:.20}, its weights {size}: the file is inconsistent"
            )
    heads = _setting(settings, "head")
    try:
        return TextToSemanticConfig.model_validate(
            {
                "phonemes": phonemes, "vocabulary": vocabulary, "bert_dim": bert, "hidden": hidden, "layers": layers,
                "feed_forward": inner, **({} if heads is None else {"heads": heads}),
            }
        )  # fmt: skip
    except ValidationError as error:
        raise OfficialFileRejected(f"its sizes are impossible: {one_line(error)}") from error


def discriminator_periods(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The periods of a discriminator's judges, told by their number."""
    return {"v1": (2, 3, 5, 7, 11), "v2Pro": (2, 3, 5, 7, 11, 17, 23)}[_s2d_versions(weights)[0]]


def _s1_versions(rows: int) -> tuple[Version, ...]:
    table = next((table for table, size in S1_PHONEMES.items() if size == rows), None)
    if table is None:
        raise OfficialFileRejected(
            f"its phoneme table has {rows} rows, an S1 of the family has 512 (v1) or 732 (later)"
        )
    return tuple(version for version in VERSIONS if SYMBOLS[version] == table)


def _s2_version(weights: Mapping[str, Tensor]) -> Version:
    rows = _rows(weights, "enc_p.text_embedding.weight")
    if "sv_emb.weight" in weights:
        width = _rows(weights, "dec.conv_pre.weight")
        if width not in {512, 768}:
            raise OfficialFileRejected(f"its dec.conv_pre has {width} channels: v2Pro has 512 and v2ProPlus 768")
        return "v2Pro" if width == 512 else "v2ProPlus"
    if rows not in {322, 732}:
        raise OfficialFileRejected(
            f"its phoneme table has {rows} rows, an S2 of the family has 322 (v1) or 732 (later)"
        )
    return "v1" if rows == 322 else "v2"


def _s2d_versions(keys: Iterable[str]) -> tuple[Version, ...]:
    judges = len({key.split(".", 2)[1] for key in keys if key.startswith("discriminators.")})
    if judges == 6:
        return ("v1", "v2")
    if judges == 8:
        return ("v2Pro", "v2ProPlus")
    raise OfficialFileRejected(f"it has {judges} discriminators: v1 and v2 have 6, v2Pro and v2ProPlus 8")


def _rows(weights: Mapping[str, Tensor], key: str) -> int:
    if key not in weights or weights[key].ndim == 0:
        raise OfficialFileRejected(f"{key} is missing or is a single number")
    return weights[key].shape[0]


def _shape(weights: Mapping[str, Tensor], key: str, dimensions: int) -> tuple[int, ...]:
    if key not in weights:
        raise OfficialFileRejected(f"{key} is missing")
    if weights[key].ndim != dimensions:
        raise OfficialFileRejected(f"{key} has {weights[key].ndim} dimensions instead of {dimensions}")
    return tuple(weights[key].shape)


def _setting(config: Mapping[str, Any], name: str) -> Any:
    """A plain value of the settings' `model` section, or None."""
    model = config.get("model")
    value = model.get(name) if isinstance(model, Mapping) else None
    return value if isinstance(value, str | int) else None
