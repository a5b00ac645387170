"""Segments of utterances keep their phones, tokens and audio."""

import random
from dataclasses import replace

import torch

from sovits_core.text import phonemize
from tiny_base.acoustics import HOP, Acoustics
from tiny_base.batches import TokenizedUtterance
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.segments import CROP_TOKENS, random_crop, split_at_pauses
from tiny_base.tokens import token_labels


def long_utterance() -> TokenizedUtterance:
    """A sentence with a pause, whose samples are the numbers of its frames."""
    text = "He said no, and she did too."
    phones = phonemize(text, "en").phones
    names = [phone.rstrip("012") for phone in phones if phone[0].isalpha()]
    ends = [0.3 * (index + 1) + (1.0 if index > 6 else 0) for index in range(len(names))]  # "no" is followed by a pause
    phone_times = list(zip(names, ends, strict=True))
    phone_times.insert(7, ("SIL", ends[6] + 1.0))
    frames = round(ends[-1] / 0.02) // 2 * 2
    acoustics = Acoustics(
        torch.arange(frames)[:, None] * torch.ones(58), torch.ones(frames) > 0, torch.full((frames,), 5.0)
    )
    wav = torch.arange(frames * HOP, dtype=torch.int32)
    whole = Utterance(
        Clip("one", "speaker", text, "", ends[-1], phone_times),
        wav,
        wav[::2],
        acoustics,
        phones,
        torch.arange(len(phones)),
    )
    tokens = token_labels(acoustics, phone_times, frames // 2)
    return TokenizedUtterance(whole, tokens, tokens)


def test_a_long_recording_is_split_at_its_pauses_into_segments_with_their_phones() -> None:
    whole = long_utterance()
    segments = split_at_pauses(whole)
    assert [" ".join(segment.utterance.phones) for segment in segments] == [
        "HH IY1 S EH1 D N OW1 ,",
        "AH0 N D SH IY1 D IH1 D T UW1 .",
    ]
    assert torch.cat([segment.aligned_tokens for segment in segments]).tolist() == whole.aligned_tokens.tolist()
    for segment in segments:
        assert segment.phone_index.max() < len(segment.utterance.phones)
        # audio and labels of each token are those of the whole
        assert segment.utterance.wav[0] == segment.utterance.acoustics.envelope[0, 0] * HOP
        relabelled = token_labels(
            segment.utterance.acoustics, segment.utterance.clip.phone_times, len(segment.aligned_tokens)
        )
        assert (relabelled == segment.aligned_tokens).float().mean() > 0.95


def test_a_crop_is_a_run_of_phones_with_their_audio() -> None:
    whole, rng = long_utterance(), random.Random(4)  # noqa: S311 -- repeatable, not secret
    phones, tokens = list(whole.utterance.phones), whole.aligned_tokens.tolist()
    drawn = [random_crop(whole, rng) for _ in range(40)]
    found = [row for row in drawn if row is not whole]  # where only the pause is drawn, the whole is used
    assert len(found) > 30
    for row in found:
        # a phone and a pause are up to 12 tokens here
        assert CROP_TOKENS[0] - 12 <= len(row.aligned_tokens) <= CROP_TOKENS[1]
        first = int(row.utterance.acoustics.envelope[0, 0]) // 2
        assert row.aligned_tokens.tolist() == tokens[first : first + len(row.aligned_tokens)]
        assert row.utterance.wav[0] == first * 2 * HOP
        assert len(row.utterance.acoustics.envelope) == 2 * len(row.aligned_tokens)
        found_phones = list(row.utterance.phones)
        assert any(phones[start : start + len(found_phones)] == found_phones for start in range(len(phones)))
    assert len({len(row.aligned_tokens) for row in found}) > 5
    short = split_at_pauses(whole)[0]
    short = replace(short, aligned_tokens=short.aligned_tokens[:25], encoder_tokens=short.encoder_tokens[:25])
    assert random_crop(short, rng).aligned_tokens.tolist() == tokens[:25]
