"""Decoding with a growing cache gives the same logits as a prefill of the whole sequence."""

import numpy as np
import pytest

from voice_inference.bundles.voice import Voice
from voice_inference.engine import decoding
from voice_inference.engine.decoding import TokenDecoder


def test_a_step_gives_the_logits_that_a_prefill_of_the_same_tokens_gives(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache, its growth and the positions are right if both ways agree: the prefill has none of them."""
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    phones = np.concatenate([voice.prompt.phones, np.arange(5, 25)])[None]
    bert = np.zeros((1, phones.size, voice.base.prefill.shapes["bert"][2] or 0), dtype=np.float32)

    def prefill(codes: np.ndarray) -> dict[str, np.ndarray]:
        inputs = {"phones": phones, "bert": bert, "prompt": codes[None]}
        return voice.base.prefill.run(inputs, voice.prefill)

    start = prefill(voice.prompt.tokens)
    filled = start["keys"].shape[3]
    monkeypatch.setattr(decoding, "CAPACITIES", (filled + 2, filled + 5, filled + 9))  # grows twice on the way
    decoder = TokenDecoder(voice, start["keys"], start["values"])
    for index, token in enumerate(tokens):
        stepped = decoder.step(token, voice.prompt.tokens.size + index).copy()
        whole = prefill(np.concatenate([voice.prompt.tokens, tokens[: index + 1]]))["logits"][0]
        np.testing.assert_allclose(stepped, whole, atol=2e-4)
