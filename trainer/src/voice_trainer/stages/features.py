"""Stage features: phones, text features, semantic tokens and speaker embedding of every clip, computed once."""

from __future__ import annotations

import torch

from sovits_core.text import phonemize
from sovits_core.text.symbols import phone_ids
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import Summary
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.clips import read_clips, training_copy
from voice_trainer.training.clip_features import ClipFeatures
from voice_trainer.training.networks import choose_device, load_encoders, load_networks
from voice_trainer.training.tokens import tokenizer_for


def features(job: TrainingJob, workspace: Workspace) -> Summary:
    """Write the features of each clip to ``<id>.safetensors``; see ``ClipFeatures``."""
    prepared = workspace.results("prepare")
    clips = read_clips(prepared)
    device = choose_device(job.compute.device)
    base = workspace.base
    networks = load_networks(base, device)
    encoders = load_encoders(base, job.language, device)
    tokenizer = tokenizer_for(base.document.tokens, networks.s2, encoders.hubert, job.language)
    progress = workspace.progress("features")
    folder = workspace.folder("features")
    readings = base.document.readings
    distinct: set[int] = set()
    total = aligned = 0
    for number, clip in enumerate(clips, start=1):
        wav = torch.from_numpy(read_flac(training_copy(prepared, clip.id))).to(device)
        tokens = tokenizer.clip(wav, clip.text, clip.phones)
        with torch.no_grad():
            embedding = encoders.speaker_embedding(networks.s2, wav)
        bert = None
        if encoders.text is not None:
            # Phones per character decide how often its vector is repeated; which phones does not matter here.
            bert = encoders.text_features(
                phonemize(clip.text, job.language, base.document.symbols, lexicon=readings, locale=job.locale)
            )
        phones = torch.tensor(phone_ids(clip.phones, base.document.symbols))
        ClipFeatures(phones, bert, tokens.values, embedding.cpu()).save(folder, clip.id)
        distinct.update(tokens.values.tolist())
        total += len(tokens.values)
        aligned += tokens.aligned
        progress.report(number, len(clips))
    return {
        "clips": len(clips),
        "tokens": total,
        "distinctTokens": len(distinct),
        "alignedClips": aligned,
        "baseDigest": base.digest,
        "device": device.type,
    }
