"""Versions of the algorithms in this release's trainer; tests/contract holds them against the trainer's own."""

from voice_operator.api.voice_revision import AlgorithmVersions

TRAINING = 1
EVALUATION = 1
TEXT = {"zh": 3, "en": 3, "ja": 3, "ko": 3, "yue": 3}


def versions_for(language: str) -> AlgorithmVersions:
    """Return the versions that a voice of this language is made with; of one that this release lacks, the first."""
    return AlgorithmVersions(training=TRAINING, text=TEXT.get(language, 1), evaluation=EVALUATION)
