"""Sentences by the trained voice and by the base alone, after the same prompt and from the same seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from voice_trainer.evaluation.findings import SpokenPair
from voice_trainer.evaluation.sentence_scores import Meter, Speaker, at_analysis_rate, score
from voice_trainer.evaluation.synthesis import Synthesis, encode_prompt, load_synthesiser
from voice_trainer.evaluation.voice import FeaturedClip, TrainedVoice
from voice_trainer.job.base import JobBase
from voice_trainer.recordings import audio
from voice_trainer.recordings.decoding import Samples
from voice_trainer.training.networks import Encoders


class VoiceAndBase:
    """Speaks with the adapter and without it, and writes what people are to hear."""

    def __init__(  # noqa: PLR0917 -- one call, each of its own type
        self, base: JobBase, voice: TrainedVoice, encoders: Encoders, clip: FeaturedClip, language: str, seed: int
    ) -> None:
        """Use ``clip`` as the prompt of both."""
        self._voice = voice
        self.prompt = encode_prompt(base, voice.networks, encoders, clip, language)
        self._adapted = load_synthesiser(base, voice.networks, encoders, self.prompt, language, seed)
        with voice.without_adapter():
            alone = encode_prompt(base, voice.networks, encoders, clip, language)
        self._alone = replace(self._adapted, prompt=alone)
        self.rate = self._adapted.sample_rate

    def speak(self, text: str) -> tuple[Synthesis, Synthesis]:
        """Return a sentence by the voice, and by the base alone."""
        with self._voice.without_adapter():
            alone = self._alone.synthesize(text)
        return self._adapted.synthesize(text), alone

    def waveforms(self, text: str) -> tuple[Samples, Samples]:
        """Return the samples of both."""
        adapted, alone = self.speak(text)
        return adapted.samples, alone.samples

    def measured(self, texts: Iterable[str], meter: Meter, speaker: Speaker) -> list[SpokenPair]:
        """Speak and measure sentences; measuring goes on beside speaking."""
        spoken: list[tuple[str, Synthesis]] = []

        def waves() -> Iterator[Samples]:
            for text in texts:
                for one in self.speak(text):
                    spoken.append((text, one))
                    yield at_analysis_rate(one, self.rate)

        scores = [
            score(*pair, self.rate, measures, speaker)
            for measures, pair in zip(list(meter.measure_all(waves())), spoken, strict=True)
        ]
        waveforms = [one.samples for _, one in spoken]
        return [
            SpokenPair(scores[index], scores[index + 1], (waveforms[index], waveforms[index + 1]))
            for index in range(0, len(scores), 2)
        ]

    def write(self, folder: Path, name: str, sounds: tuple[Samples, Samples]) -> tuple[str, str]:
        """Write a sentence by the voice and by the base alone into ``samples/``; return the files' names."""
        files = f"samples/{name}.flac", f"samples/{name}.base.flac"
        for file, samples in zip(files, sounds, strict=True):
            audio.write_flac(folder / file, samples, self.rate)
        return files
