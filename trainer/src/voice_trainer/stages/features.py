"""Stage features: what the networks see of every clip, computed once."""

from __future__ import annotations

import torch

from sovits_core.text import phonemize
from sovits_core.text.symbols import phone_ids
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import Summary
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.clips import read_clips, training_copy
from voice_trainer.training.examples import save_features
from voice_trainer.training.networks import choose_device, load_encoders, load_networks
from voice_trainer.training.tokens import tokenizer_for


def features(job: TrainingJob, workspace: Workspace) -> Summary:
    """Write phones with their text features, semantic codes and timbre of each clip to ``<id>.safetensors``."""
    prepared = workspace.results("prepare")
    clips = read_clips(prepared)
    device = choose_device(job.compute.device)
    base = workspace.base
    networks = load_networks(base, device)
    encoders = load_encoders(base, job.language, device)
    tokenizer = tokenizer_for(base.document.tokens, networks.s2, encoders.hubert, job.language)
    progress = workspace.progress("features")
    folder = workspace.folder("features")
    tokens: set[int] = set()
    total = aligned = 0
    for number, clip in enumerate(clips, start=1):
        wav = torch.from_numpy(read_flac(training_copy(prepared, clip.id))).to(device)
        codes = tokenizer.clip(wav, clip.text, clip.phones)
        with torch.no_grad():
            timbre = encoders.timbre(networks.s2, wav)
        bert = None
        if encoders.text is not None:  # else the text need not be read again
            # how often a character's vector stands there, not how it is read, is what this needs
            bert = encoders.text_features(phonemize(clip.text, job.language, base.document.symbols))
        phones = torch.tensor(phone_ids(clip.phones, base.document.symbols))
        save_features(
            folder / f"{clip.id}.safetensors", phones=phones, bert=bert, codes=codes.values, timbre=timbre.cpu()
        )
        tokens.update(codes.values.tolist())
        total += len(codes.values)
        aligned += codes.aligned
        progress.report(number, len(clips))
    return {
        "clips": len(clips),
        "codes": total,
        "distinctCodes": len(tokens),
        "alignedClips": aligned,
        "baseDigest": base.digest,
        "device": device.type,
    }
