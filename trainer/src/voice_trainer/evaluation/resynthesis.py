"""Token-forced resynthesis: clips decoded from their own tokens, and the prompt clip that decodes best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import synthesize
from voice_trainer.evaluation.active import ActiveVoice
from voice_trainer.evaluation.scores import ClipScores, compare
from voice_trainer.evaluation.voice import FeaturedClip, TrainedVoice
from voice_trainer.recordings.audio import ANALYSIS_RATE, resample
from voice_trainer.recordings.clips import Clip
from voice_trainer.recordings.decoding import Samples

PROMPT_SECONDS = (3.0, 10.0)  # the range of prompts in the family's training
PROMPT_CANDIDATES = 6  # the cleanest ones; each costs one resynthesis


@dataclass(frozen=True)
class Resynthesis:
    """A recording and the waveform decoded from its tokens, both at 16 kHz."""

    clip: Clip
    recording: Samples
    decoded: Samples
    scores: ClipScores


@dataclass(frozen=True)
class Comparison:
    """One held-out clip, resynthesised with the adapter, by the base alone and by the served revision."""

    adapted: Resynthesis
    base: Resynthesis
    active: Resynthesis | None = None


def resynthesise(networks: Networks, clip: FeaturedClip, speaker_embedding: Tensor, seed: int) -> Resynthesis:
    """Decode the clip's tokens conditioned on a speaker embedding (gin) and score the result against the recording.

    Durations match by construction, 25 tokens a second, so no warping can hide a fault. The seed alone decides the
    noise: it is the same with and without the adapter.
    """
    s2 = networks.s2
    device = next(s2.parameters()).device
    tokens, phones = clip.features.tokens[None].to(device), clip.features.phones[None].to(device)
    wav = synthesize(s2, tokens, phones, speaker_embedding[None, :, None].to(device), seed=seed)[0, 0]
    decoded = resample(wav.cpu().numpy(), s2.config.sample_rate, ANALYSIS_RATE)
    recording = clip.recording()
    return Resynthesis(clip.clip, recording, decoded, compare(recording, decoded))


def compare_held_out(
    voice: TrainedVoice,
    clips: Sequence[FeaturedClip],
    prompt: FeaturedClip,
    seed: int,
    active: ActiveVoice | None = None,
) -> Iterator[Comparison]:
    """Resynthesise every clip with the speaker embedding of the prompt, with the adapter and without it.

    The served revision has the speaker embedding of its own prompt.
    """
    embedding = prompt.features.speaker_embedding
    for clip in clips:
        adapted = resynthesise(voice.networks, clip, embedding, seed)
        with voice.without_adapter():
            base = resynthesise(voice.networks, clip, embedding, seed)
        served = None
        if active is not None:
            served = resynthesise(active.voice.networks, clip, active.prompt.speaker_embedding, seed)
        yield Comparison(adapted, base, served)


def choose_prompt(voice: TrainedVoice, clips: Sequence[FeaturedClip], seed: int) -> FeaturedClip:
    """Return the training clip that makes the best prompt: 3 to 10 s, clean, and well resynthesised.

    Among the cleanest candidates the one with the highest STOI wins when it is resynthesised with its own speaker
    embedding: what the networks reproduce well they also imitate well. Without a clip of a fitting length those of the
    nearest lengths are the candidates.
    """

    def stoi(clip: FeaturedClip) -> float:
        return resynthesise(voice.networks, clip, clip.features.speaker_embedding, seed).scores.stoi or 0.0

    return max(prompt_candidates(clips), key=lambda clip: (stoi(clip), clip.clip.id))


def prompt_candidates(clips: Sequence[FeaturedClip]) -> Sequence[FeaturedClip]:
    """Return the cleanest training clips of a fitting length, or of the nearest lengths."""
    low, high = PROMPT_SECONDS
    training = [clip for clip in clips if not clip.clip.held_out]
    fitting = [clip for clip in training if low <= clip.clip.seconds <= high]
    if not fitting:
        fitting = sorted(training, key=lambda clip: max(low - clip.clip.seconds, clip.clip.seconds - high))
        fitting = fitting[:PROMPT_CANDIDATES]
    return sorted(fitting, key=lambda clip: (-clip.clip.snr_db, clip.clip.id))[:PROMPT_CANDIDATES]
