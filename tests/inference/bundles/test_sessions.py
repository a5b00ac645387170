"""Steps on a cache give the same logits as a prefill of the whole sequence."""

import numpy as np
import pytest

from sovits_core.serving.loop import StepLoop
from voice_inference.bundles.base import Base, load_base
from voice_inference.bundles.voice import Voice


def test_a_step_gives_the_logits_that_a_prefill_of_the_same_tokens_gives(voice: Voice) -> None:
    """The cache, the adapter and the positions are right if both ways agree: the prefill has none of them."""
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    phones = np.concatenate([voice.prompt.phones, np.arange(5, 25)])[None]
    bert = np.zeros((1, phones.size, voice.base.prefill.shapes["bert"][2] or 0), dtype=np.float32)

    def prefill(codes: np.ndarray) -> dict[str, np.ndarray]:
        inputs = {"phones": phones, "bert": bert, "prompt": codes[None]}
        return voice.base.prefill.run(inputs, voice.adapters().prefill)

    start = prefill(voice.prompt.tokens)
    loop = StepLoop(voice.base.step.session, voice.adapters().step, start["keys"], start["values"], room=len(tokens))
    for index, token in enumerate(tokens):
        stepped = loop.read(token, voice.prompt.tokens.size + index).copy()
        whole = prefill(np.concatenate([voice.prompt.tokens, tokens[: index + 1]]))["logits"][0]
        np.testing.assert_allclose(stepped, whole, atol=2e-5)
    with pytest.raises(IndexError, match="no room"):
        loop.read(1, voice.prompt.tokens.size + len(tokens))


def test_a_base_with_weights_of_eight_bits_answers_almost_the_same(base: Base, voice: Voice) -> None:
    rounded = load_base(base.reference.uri, base.reference, threads=1, step_bits=8)
    shape = (base.document.s1.layers, 1, base.document.s1.heads, 20, base.document.s1.hidden // base.document.s1.heads)
    cache = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    exact, close = (
        StepLoop(one.step.session, voice.adapters().step, *cache, room=1).read(3, 7) for one in (base, rounded)
    )
    assert 1e-4 < np.abs(exact - close).max() / np.abs(exact).max() < 0.1
