"""PESQ and STOI of token-forced resynthesis of held-out speech."""

# PESQ: ITU-T P.862.2 (2007), wide band. STOI: Taal et al. 2011, An Algorithm for Intelligibility Prediction of
# Time-Frequency Weighted Noisy Speech, IEEE Transactions ASLP 19.

from __future__ import annotations

from collections import defaultdict

import torch
from pesq import NoUtterancesError, pesq
from pystoi import stoi
from torch import Tensor
from transformers import HubertModel

from sovits_core.features.recording import resample, spectrogram, training_features
from sovits_core.models import Synthesizer
from sovits_core.synthesis.generation import synthesize
from tiny_base.acoustics import HOP, SAMPLE_RATE
from tiny_base.data import Utterance, to_float

SCORE_RATE = 16_000
# An unseen speaker's voice had a STOI of 0.2 below the base's own mean; the rest is for the variance of few clips.
MARGINS = {"pesq": 0.08, "stoi": 0.27}


@torch.no_grad()
def resynthesize(hubert: HubertModel, s2: Synthesizer, utterance: Utterance, reference: Utterance, seed: int) -> Tensor:
    """Decode an utterance's encoder tokens, conditioned on another recording; return [samples] at 32 kHz."""
    tokens = s2.quantize(training_features(hubert, to_float(utterance.wav), SAMPLE_RATE))
    speaker_embedding = s2.speaker_embedding(spectrogram(to_float(reference.wav)[None]))
    return synthesize(s2, tokens, utterance.phone_ids[None], speaker_embedding, seed=seed)[0, 0]


def compare(recorded: Tensor, made: Tensor) -> dict[str, float]:
    """Return PESQ (wide band) and STOI of [samples] at 32 kHz; the longer of the two is cut."""
    length = min(len(recorded), len(made))
    pair = [resample(wav[:length], SAMPLE_RATE, SCORE_RATE).numpy() for wav in (recorded, made)]
    try:
        quality = float(pesq(SCORE_RATE, *pair, "wb"))
    except NoUtterancesError:
        quality = 1.0  # PESQ finds no speech in it
    return {"pesq": quality, "stoi": float(stoi(*pair, SCORE_RATE))}


def measure(hubert: HubertModel, s2: Synthesizer, held_out: list[Utterance], seed: int) -> dict[str, float]:
    """Return the mean scores over held-out clips, each conditioned on another clip of its speaker."""
    speakers: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in held_out:
        speakers[utterance.clip.speaker].append(utterance)
    scores = []
    for utterances in speakers.values():
        for index, utterance in enumerate(utterances):
            made = resynthesize(hubert, s2, utterance, utterances[index - 1], seed)
            scores.append(compare(to_float(utterance.wav)[: len(utterance.wav) // HOP * HOP], made))
    return {metric: sum(score[metric] for score in scores) / len(scores) for metric in ("pesq", "stoi")}


def gates_from(scores: dict[str, float]) -> dict[str, str]:
    """Return the gates of a base: its own scores less a margin."""
    floors = {"pesq": 1.0, "stoi": 0.1}
    return {metric: f"{max(floors[metric], scores[metric] - MARGINS[metric]):.2f}" for metric in floors}
