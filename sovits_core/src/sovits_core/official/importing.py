"""Official files to a base bundle: what `sovits-core import-base` does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sovits_core.bundle.base import POLYPHONES, TEXT_ENCODER, BaseBundle
from sovits_core.bundle.model_config import MelSynthesizerConfig, SynthesizerConfig
from sovits_core.bundle.writing import file_digest, new_folder, write_base_json
from sovits_core.errors import OfficialFileRejected
from sovits_core.export import export_graphs, export_text_encoder
from sovits_core.features.text import load_bert
from sovits_core.formats.checkpoints import save_weights
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.official import attribution
from sovits_core.official.encoders import copy_bert, copy_hubert
from sovits_core.official.files import LARGEST_HALF, OfficialFile
from sovits_core.official.loading import (
    MEL_CONFIGS,
    load_bigvgan,
    load_discriminator,
    load_mel_synthesizer,
    load_s1,
    load_speaker_encoder,
    load_synthesizer,
    load_vocoder,
    read_part,
    version_of,
)
from sovits_core.official.lora import merge_lora
from sovits_core.official.polyphones import copy_g2pw
from sovits_core.official.versions import SYMBOLS, Detected, Part, Version
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.text.lexicon_file import read_lexicon

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """Where the official files are; what is None is left out of the base."""

    s1: Path
    s2g: Path
    s2d: Path | None = None
    lora: Path | None = None
    hubert: Path | None = None
    bert: Path | None = None
    sv: Path | None = None
    vocoder: Path | None = None
    g2pw: Path | None = None
    lexicon: Path | None = None

    def files(self) -> dict[str, Path]:
        """Part to file, for those that are files."""
        parts = {
            "s1": self.s1,
            "s2g": self.s2g,
            "s2d": self.s2d,
            "lora": self.lora,
            "sv": self.sv,
            "vocoder": self.vocoder,
        }
        return {part: path for part, path in parts.items() if path}


def import_base(sources: Sources, name: str, out: Path, asked: str | None, say: Say) -> BaseBundle:
    """Make a base bundle of official files.

    Weights are kept in float16 (vocoders in float32), split where the official ones are, so that they give exactly the
    official numbers. v1, v2 and the Pro family get graphs for the server.

    Args:
        sources: the files; v3 and v4 need a vocoder.
        name: of the base.
        out: the folder to make; it must not exist.
        asked: the version, where the files leave it open.
        say: takes a line about what is being done.

    Raises:
        OfficialFileRejected, CheckpointMismatch, TextModelRejected: a file is not what it should be, or the files do
            not belong together.
        SovitsError: the folder exists or cannot be written.
    """
    with new_folder(out) as folder:
        return replace(_fill(folder, sources, name, asked, say), folder=out)


def _fill(folder: Path, sources: Sources, name: str, asked: str | None, say: Say) -> BaseBundle:
    lexicon = read_lexicon(sources.lexicon).entries if sources.lexicon else ()
    say(f"reading {sources.s2g.name}")
    s2_file, found = read_part(sources.s2g, Part.S2)
    version = version_of(s2_file, found, asked)
    _check_parts(sources, s2_file, found, version)
    say(f"reading {sources.s1.name}")
    s1_file, s1_found = read_part(sources.s1, Part.S1)
    if version not in s1_found.versions:
        raise OfficialFileRejected(
            f"{s1_file.name} is an S1 of {' or '.join(s1_found.versions)}, but {s2_file.name} is of {version}: "
            "their phoneme tables differ"
        )
    s1 = load_s1(s1_file)
    _save(s1, folder / "s1.safetensors")
    s2 = _load_s2(sources, s2_file, found, version, say)
    _save(s2, folder / "s2g.safetensors")
    parts: dict[str, Any] = {"s1": s1.config, "s2": s2.config}
    if sources.s2d:
        say(f"reading {sources.s2d.name}")
        s2d_file, s2d_found = read_part(sources.s2d, Part.S2D)
        if version not in s2d_found.versions:
            raise OfficialFileRejected(
                f"{s2d_file.name} is of {' or '.join(s2d_found.versions)}, but {s2_file.name} is of {version}"
            )
        judges = load_discriminator(s2d_file)
        _save(judges, folder / "s2d.safetensors")
        parts["s2d"] = judges.config
    parts |= _side_models(folder, sources, s1, s2, say)
    graphs = {}
    if isinstance(s2, Synthesizer):
        say("writing the graphs")
        graphs = export_graphs(Networks(s1, s2), folder)
        if sources.bert:
            graphs |= export_text_encoder(load_bert(folder / TEXT_ENCODER).model, folder)
    say("computing digests")
    return write_base_json(
        folder,
        {
            "name": name,
            "version": version,
            "sampleRate": _sample_rate(parts),
            "languages": attribution.languages(version),
            "symbols": SYMBOLS[version],
            **parts,
            "lexicon": [entry._asdict() for entry in lexicon],
            "sentences": {language: attribution.SENTENCES[language] for language in attribution.languages(version)},
            "licences": _licences(sources, version),
            "training": {
                part: f"{path.name}, sha256:{file_digest(path)['sha256']}" for part, path in sources.files().items()
            },
            "graphs": graphs,
        },
    )


def _sample_rate(parts: Mapping[str, Any]) -> int:
    """Of what is spoken: the vocoder's where there is one."""
    last = parts.get("vocoder") or parts.get("bigvgan") or parts["s2"]
    return int(last.sample_rate)


def _check_parts(sources: Sources, s2: OfficialFile, found: Detected, version: Version) -> None:
    """Whether the files given are those that the version has."""
    mel = version in {"v3", "v4"}
    if not mel and not found.posterior:
        raise OfficialFileRejected(
            f"{s2.name} has no posterior encoder (enc_q), so it is a voice and not a base: give the s2G file"
        )
    if mel and not sources.vocoder:
        raise OfficialFileRejected(f"{s2.name} is of {version}, which speaks through a vocoder: add --vocoder")
    unused = {
        "--s2d": sources.s2d if mel else None,
        "--lora": None if mel else sources.lora,
        "--vocoder": None if mel else sources.vocoder,
        "--sv": None if version in {"v2Pro", "v2ProPlus"} else sources.sv,
    }
    for option, path in unused.items():
        if path:
            raise OfficialFileRejected(
                f"{s2.name} is of {version}, which has no use for {path.name}: leave {option} out"
            )


def _load_s2(
    sources: Sources, file: OfficialFile, found: Detected, version: Version, say: Say
) -> Synthesizer | MelSynthesizer:
    if version not in {"v3", "v4"}:
        return load_synthesizer(file, found, version)
    if sources.lora:
        say(f"merging {sources.lora.name}")
        lora, lora_found = read_part(sources.lora, Part.LORA)
        if lora.head != "PK":
            version_of(lora, lora_found, version)  # a head that says another version is refused
        file = replace(file, weights=merge_lora(file.weights, lora))
    return load_mel_synthesizer(file, version)


def _side_models(
    folder: Path, sources: Sources, s1: TextToSemantic, s2: Synthesizer | MelSynthesizer, say: Say
) -> dict[str, Any]:
    """Encoders and vocoder into their folders; their configurations for base.json."""
    parts: dict[str, Any] = {"hubert": {"hidden": s2.config.ssl_dim}}
    if sources.hubert:
        say(f"reading {sources.hubert.name}")
        hubert = copy_hubert(sources.hubert, folder / "hubert")
        if hubert.hidden_size != s2.config.ssl_dim:
            raise OfficialFileRejected(
                f"{sources.hubert.name} makes features of width {hubert.hidden_size}, {sources.s2g.name} takes "
                f"{s2.config.ssl_dim}"
            )
    if sources.bert:
        say(f"reading {sources.bert.name}")
        bert = copy_bert(sources.bert, folder / TEXT_ENCODER)
        if bert.hidden_size != s1.config.bert_dim:
            raise OfficialFileRejected(
                f"{sources.bert.name} makes features of width {bert.hidden_size}, {sources.s1.name} takes "
                f"{s1.config.bert_dim}"
            )
    if sources.g2pw:
        say(f"reading {sources.g2pw.name}")
        copy_g2pw(sources.g2pw, sources.bert, folder / POLYPHONES)
    if sources.sv:
        say(f"reading {sources.sv.name}")
        speaker = load_speaker_encoder(read_part(sources.sv, Part.SPEAKER)[0])
        (folder / "sv").mkdir()
        _save(speaker, folder / "sv" / "model.safetensors")
        parts["speaker"] = speaker.config
    if sources.vocoder:
        say(f"reading {sources.vocoder.name}")
        (folder / "vocoder").mkdir()
        parts |= _vocoder(folder / "vocoder" / "model.safetensors", sources.vocoder, s2.config)
    return parts


def _vocoder(target: Path, source: Path, s2: SynthesizerConfig | MelSynthesizerConfig) -> dict[str, Any]:
    """Write the vocoder, in float32, since float16 overflows in it; its configuration, under its name in base.json."""
    bigvgan = s2 == MEL_CONFIGS["v3"]
    file, _ = read_part(source, Part.BIGVGAN if bigvgan else Part.VOCODER)
    vocoder = load_bigvgan(file) if bigvgan else load_vocoder(file)
    save_weights(vocoder, target, torch.float32)
    return {"bigvgan" if bigvgan else "vocoder": vocoder.config}


def _save(module: nn.Module, path: Path) -> None:
    """Write in float16; raises OfficialFileRejected where a weight does not fit."""
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point() and bool((tensor.abs() > LARGEST_HALF).any()):
            raise OfficialFileRejected(f"{key} of {path.name} holds values beyond float16's {LARGEST_HALF:.0f}")
    save_weights(module, path)


def _licences(sources: Sources, version: Version) -> list[dict[str, str]]:
    return [
        attribution.WEIGHTS,
        *([attribution.HUBERT] if sources.hubert else ()),
        *([attribution.BERT] if sources.bert else ()),
        *([attribution.G2PW] if sources.g2pw else ()),
        *([attribution.SPEAKER] if sources.sv else ()),
        *([attribution.BIGVGAN] if version == "v3" else ()),
    ]
