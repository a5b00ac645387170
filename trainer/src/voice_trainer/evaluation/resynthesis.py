"""Measuring a voice: token-forced resynthesis, how well held-out codes are predicted, which clip prompts best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sovits_core.models.losses import semantic_loss
from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import synthesize
from voice_trainer.evaluation.scores import ClipScores, compare
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import Samples
from voice_trainer.recordings.clips import Clip, analysis_samples

PROMPT_SECONDS = (3.0, 10.0)  # what the family was trained to be prompted with
PROMPT_CANDIDATES = 6  # the cleanest ones; each costs one resynthesis
TOP = 3  # predictions that count as a hit


@dataclass(frozen=True)
class Resynthesis:
    """A recording spoken again from its own tokens; both at 16 kHz."""

    clip: Clip
    recording: Samples
    spoken: Samples
    scores: ClipScores


@dataclass(frozen=True)
class Prediction:
    """How well S1 predicts the codes of clips: nats per code, and the share of codes among the top 3."""

    loss: float
    top: float


class Resynthesiser:
    """Speaks clips from their own codes in the light of one reference."""

    def __init__(self, networks: Networks, prepared: Path, features: dict[str, dict[str, Tensor]], seed: int) -> None:
        self._networks = networks
        self._prepared = prepared
        self._features = features
        self._seed = seed

    def synthesize(self, clip: Clip, reference: Clip) -> Resynthesis:
        """Decode the clip's codes with the timbre of another clip and score the result against the recording.

        Durations match by construction, 25 codes a second, so no warping hides a fault.
        """
        s2 = self._networks.s2
        device = next(s2.parameters()).device
        found, timbre = self._features[clip.id], self._features[reference.id]["timbre"]
        codes, phones = found["codes"][None].to(device), found["phones"][None].to(device)
        # The seed alone decides the noise: it is the same with and without the adapter.
        wav = synthesize(s2, codes, phones, timbre[None, :, None].to(device), seed=self._seed)[0, 0]
        spoken = audio.resample(wav.cpu().numpy(), s2.config.sample_rate, audio.ANALYSIS_RATE)
        recording = analysis_samples(self._prepared, clip)
        return Resynthesis(clip, recording, spoken, compare(recording, spoken))


def choose_prompt(clips: Sequence[Clip], resynthesiser: Resynthesiser) -> Clip:
    """Return the training clip that makes the best prompt: 3 to 10 s, clean, and well understood by the base.

    Among the cleanest candidates the one with the highest STOI wins when it is spoken again with its own timbre: what
    the networks reproduce well they also imitate well. Without a clip of a fitting length the nearest lengths stand in.
    """
    learnt = [clip for clip in clips if not clip.held_out]
    low, high = PROMPT_SECONDS
    fitting = [clip for clip in learnt if low <= clip.seconds <= high]
    if not fitting:
        fitting = sorted(learnt, key=lambda clip: max(low - clip.seconds, clip.seconds - high))[:PROMPT_CANDIDATES]
    cleanest = sorted(fitting, key=lambda clip: (-clip.snr_db, clip.id))[:PROMPT_CANDIDATES]
    return max(cleanest, key=lambda clip: (resynthesiser.synthesize(clip, clip).scores.stoi or 0.0, clip.id))


def predict(networks: Networks, features: Sequence[dict[str, Tensor]]) -> Prediction:
    """Let S1 predict the codes of clips it has not learnt, each from the true codes before it."""
    s1 = networks.s1
    device = next(s1.parameters()).device
    losses, hits, counts = [], 0, []
    for found in features:
        phones, codes = found["phones"][None].to(device), found["codes"][None].to(device)
        bert = None if "bert" not in found else found["bert"][None].to(device)
        lengths = torch.tensor([codes.shape[1]], device=device)
        with torch.no_grad():
            logits = s1(phones, torch.tensor([phones.shape[1]], device=device), bert, codes, lengths)
            losses.append(float(semantic_loss(logits, codes, lengths, s1.config.end_token)))
        best = logits[0, :-1].topk(TOP).indices
        hits += int((best == codes[0][:, None]).any(dim=1).sum())
        counts.append(codes.shape[1])
    return Prediction(float(np.average(losses, weights=counts)), hits / sum(counts))
