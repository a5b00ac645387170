"""How well S1 predicts the tokens of clips that the adapter was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sovits_core.models.losses import semantic_loss
from sovits_core.models.networks import Networks
from voice_trainer.evaluation.voice import TrainedVoice
from voice_trainer.training.clip_features import ClipFeatures

TOP = 3  # predictions that count as a hit


@dataclass(frozen=True)
class Prediction:
    """Cross-entropy in nats per token, and top-3 accuracy (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class PredictionComparison:
    """The same measure with the adapter and by the base alone."""

    adapted: Prediction
    base: Prediction


def compare_predictions(voice: TrainedVoice, features: Sequence[ClipFeatures]) -> PredictionComparison:
    """Predict the tokens of clips with the adapter and without it."""
    with voice.without_adapter():
        base = predict(voice.networks, features)
    return PredictionComparison(predict(voice.networks, features), base)


def predict(networks: Networks, features: Sequence[ClipFeatures]) -> Prediction:
    """Predict the tokens of each clip by teacher forcing: each from the true tokens before it."""
    s1 = networks.s1
    device = next(s1.parameters()).device
    losses, hits, counts = [], 0, []
    for clip in features:
        phones, tokens = clip.phones[None].to(device), clip.tokens[None].to(device)
        bert = None if clip.bert is None else clip.bert[None].to(device)
        lengths = torch.tensor([tokens.shape[1]], device=device)
        with torch.no_grad():
            logits = s1(phones, torch.tensor([phones.shape[1]], device=device), bert, tokens, lengths)
            losses.append(float(semantic_loss(logits, tokens, lengths, s1.config.end_token)))
        best = logits[0, :-1].topk(TOP).indices
        hits += int((best == tokens[0][:, None]).any(dim=1).sum())
        counts.append(tokens.shape[1])
    return Prediction(float(np.average(losses, weights=counts)), hits / sum(counts))
