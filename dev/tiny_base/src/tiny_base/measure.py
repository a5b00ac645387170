"""How well the base copies speech it never heard: PESQ and STOI of token-forced resynthesis."""

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
from tiny_base.data import Utterance, floats

SCORE_RATE = 16_000
# An unseen reader's voice measured 0.2 in STOI below the base's own mean; the rest is for how its few clips vary.
MARGINS = {"pesq": 0.08, "stoi": 0.27}


@torch.no_grad()
def resynthesize(hubert: HubertModel, s2: Synthesizer, utterance: Utterance, reference: Utterance, seed: int) -> Tensor:
    """Speak an utterance's own tokens in the voice of another recording; return [samples] at 32 kHz."""
    codes = s2.quantize(training_features(hubert, floats(utterance.wav), SAMPLE_RATE))
    ge = s2.speaker_embedding(spectrogram(floats(reference.wav)[None]))
    return synthesize(s2, codes, utterance.phone_ids[None], ge, seed=seed)[0, 0]


def compare(recorded: Tensor, made: Tensor) -> dict[str, float]:
    """Return PESQ (wide band) and STOI of [samples] at 32 kHz; the shorter of the two decides how much is compared."""
    length = min(len(recorded), len(made))
    pair = [resample(wav[:length], SAMPLE_RATE, SCORE_RATE).numpy() for wav in (recorded, made)]
    try:
        quality = float(pesq(SCORE_RATE, *pair, "wb"))
    except NoUtterancesError:
        quality = 1.0  # nothing in it that PESQ takes for speech
    return {"pesq": quality, "stoi": float(stoi(*pair, SCORE_RATE))}


def measure(hubert: HubertModel, s2: Synthesizer, held_out: list[Utterance], seed: int) -> dict[str, float]:
    """Return the mean scores over held-out clips; each speaks with the timbre of another clip of its speaker."""
    speakers: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in held_out:
        speakers[utterance.clip.speaker].append(utterance)
    scores = []
    for utterances in speakers.values():
        for index, utterance in enumerate(utterances):
            made = resynthesize(hubert, s2, utterance, utterances[index - 1], seed)
            scores.append(compare(floats(utterance.wav)[: len(utterance.wav) // HOP * HOP], made))
    return {metric: sum(score[metric] for score in scores) / len(scores) for metric in ("pesq", "stoi")}


def gates_from(scores: dict[str, float]) -> dict[str, str]:
    """Return the gates a base declares: its own scores less a margin."""
    floors = {"pesq": 1.0, "stoi": 0.1}
    return {metric: f"{max(floors[metric], scores[metric] - MARGINS[metric]):.2f}" for metric in floors}
