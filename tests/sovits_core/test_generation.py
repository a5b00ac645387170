import pytest
import torch

from sovits_core.errors import InvalidModelInput
from sovits_core.generation import generate, speak
from sovits_core.networks import Networks
from sovits_core.sampling import Sampling

PHONES, PROMPT = torch.tensor([[4, 5, 6, 7]]), torch.tensor([[1, 2, 3]])


def test_an_utterance_depends_on_its_seed_alone(networks: Networks) -> None:
    def once(seed: int) -> list[int]:
        sampling = Sampling(top_k=33, temperature=2.0)
        return generate(networks.s1, PHONES, None, PROMPT, sampling=sampling, seed=seed, most_steps=40)[0].tolist()

    first = once(1)
    torch.manual_seed(99)
    assert once(1) == first
    assert once(2) != first


def test_it_stops_at_the_limit_and_never_says_the_end_token(networks: Networks) -> None:
    with torch.no_grad():
        networks.s1.predict.weight[32] = 0
        networks.s1.predict.weight[:32] *= 10
    # more steps than one block of the cache holds
    tokens = generate(networks.s1, PHONES, None, PROMPT, sampling=Sampling(top_k=1), seed=0, most_steps=300)
    assert tokens.shape == (1, 300)
    assert tokens.max() < 32


def test_it_ends_early_where_the_end_is_most_likely_but_not_before_eleven_tokens(networks: Networks) -> None:
    with torch.no_grad():
        # the end wins whatever the hidden state is: its logit is the norm of it, the others' are nothing
        networks.s1.predict.weight.zero_()
        networks.s1.layers[-1].feed_forward_norm.weight.zero_()
        networks.s1.layers[-1].feed_forward_norm.bias.fill_(1.0)
        networks.s1.predict.weight[32] = 1.0
    tokens = generate(networks.s1, PHONES, None, PROMPT[:, :0], sampling=Sampling(), seed=0, most_steps=50)
    assert tokens.shape == (1, 11)


@pytest.mark.parametrize("limit", [0, 1501])
def test_a_limit_out_of_range_is_refused(networks: Networks, limit: int) -> None:
    with pytest.raises(InvalidModelInput, match=f"most_steps={limit}"):
        generate(networks.s1, PHONES, None, PROMPT, sampling=Sampling(), seed=0, most_steps=limit)


def test_nothing_to_say_is_refused(networks: Networks) -> None:
    with pytest.raises(InvalidModelInput, match="at least one phone"):
        generate(networks.s1, PHONES[:, :0], None, PROMPT, sampling=Sampling(), seed=0)


def test_speech_is_two_frames_per_token_and_the_same_for_the_same_seed(networks: Networks) -> None:
    ge = torch.zeros(1, 24, 1)
    wav = speak(networks.s2, PROMPT, PHONES, ge, seed=1)
    assert wav.shape == (1, 1, 3 * 2 * 32)
    assert torch.equal(speak(networks.s2, PROMPT, PHONES, ge, seed=1), wav)
    assert not torch.equal(speak(networks.s2, PROMPT, PHONES, ge, seed=2), wav)
