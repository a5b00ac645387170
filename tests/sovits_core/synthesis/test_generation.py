import pytest
import torch

from sovits_core.errors import InvalidModelInput
from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import GenerationRequest, generate, generate_batch, synthesize, synthesize_batch
from sovits_core.synthesis.sampling import Sampling
from sovits_core.synthesis.streaming import generator_receptive_field

PHONES, PROMPT = torch.tensor([[4, 5, 6, 7]]), torch.tensor([[1, 2, 3]])


def test_an_utterance_depends_on_its_seed_alone(networks: Networks) -> None:
    def once(seed: int) -> list[int]:
        sampling = Sampling(top_k=33, temperature=2.0)
        return generate(networks.s1, PHONES, None, PROMPT, sampling=sampling, seed=seed, max_tokens=40)[0].tolist()

    first = once(1)
    torch.manual_seed(99)
    assert once(1) == first
    assert once(2) != first


def test_it_stops_at_the_limit_and_never_says_the_end_token(networks: Networks) -> None:
    with torch.no_grad():
        networks.s1.predict.weight[32] = 0
        networks.s1.predict.weight[:32] *= 10
    # more steps than one block of the cache holds
    tokens = generate(networks.s1, PHONES, None, PROMPT, sampling=Sampling(top_k=1), seed=0, max_tokens=300)
    assert tokens.shape == (1, 300)
    assert tokens.max() < 32


def test_it_ends_early_where_the_end_is_most_likely_but_not_before_eleven_tokens(networks: Networks) -> None:
    with torch.no_grad():
        # the end wins whatever the hidden state is: its logit is the norm of it, the others' are nothing
        networks.s1.predict.weight.zero_()
        networks.s1.layers[-1].feed_forward_norm.weight.zero_()
        networks.s1.layers[-1].feed_forward_norm.bias.fill_(1.0)
        networks.s1.predict.weight[32] = 1.0
    tokens = generate(networks.s1, PHONES, None, PROMPT[:, :0], sampling=Sampling(), seed=0, max_tokens=50)
    assert tokens.shape == (1, 11)


@pytest.mark.parametrize("limit", [0, 1501])
def test_a_limit_out_of_range_is_refused(networks: Networks, limit: int) -> None:
    with pytest.raises(InvalidModelInput, match=f"max_tokens={limit}"):
        generate(networks.s1, PHONES, None, PROMPT, sampling=Sampling(), seed=0, max_tokens=limit)


def test_nothing_to_say_is_refused(networks: Networks) -> None:
    with pytest.raises(InvalidModelInput, match="at least one phone"):
        generate(networks.s1, PHONES[:, :0], None, PROMPT, sampling=Sampling(), seed=0)


def test_speech_is_two_frames_per_token_and_the_same_for_the_same_seed(networks: Networks) -> None:
    ge = torch.zeros(1, 24, 1)
    wav = synthesize(networks.s2, PROMPT, PHONES, ge, seed=1)
    assert wav.shape == (1, 1, 3 * 2 * 32)
    assert torch.equal(synthesize(networks.s2, PROMPT, PHONES, ge, seed=1), wav)
    assert not torch.equal(synthesize(networks.s2, PROMPT, PHONES, ge, seed=2), wav)


def utterances(**options: object) -> list[GenerationRequest]:
    """Texts and prompts of all lengths, one without a prompt, one without text features."""
    torch.manual_seed(5)
    sizes = ((3, 5, 40), (9, 0, 7), (1, 12, 25), (6, 2, 300))
    return [
        GenerationRequest(
            torch.randint(0, 40, (text,)),
            torch.randint(0, 32, (prompt,)),
            None if seed == 2 else torch.randn(text, 8),
            seed=seed,
            max_tokens=steps,
            **options,  # type: ignore[arg-type]
        )
        for seed, (text, prompt, steps) in enumerate(sizes)
    ]


def alone(networks: Networks, one: GenerationRequest) -> list[int]:
    bert = None if one.bert is None else one.bert[None]
    spoken = generate(
        networks.s1, one.phones[None], bert, one.prompt[None],
        sampling=one.sampling, seed=one.seed, max_tokens=one.max_tokens,
    )  # fmt: skip
    return spoken[0].tolist()


@pytest.mark.parametrize("sampling", [Sampling(top_k=1), Sampling(top_k=8, temperature=1.5)], ids=["greedy", "drawn"])
def test_a_batch_says_what_each_utterance_says_alone(networks: Networks, sampling: Sampling) -> None:
    with torch.no_grad():
        networks.s1.predict.weight[:32] *= 4  # clear decisions, so that rounding cannot turn one
    batch = utterances(sampling=sampling)
    together = [tokens.tolist() for tokens in generate_batch(networks.s1, batch)]
    assert together == [alone(networks, one) for one in batch]
    assert len({len(tokens) for tokens in together}) > 2  # rows did leave at different times


def test_an_utterance_hears_nothing_of_its_neighbours(networks: Networks) -> None:
    batch = utterances()
    before = generate_batch(networks.s1, batch)
    assert batch[1].bert is not None
    changed = GenerationRequest(batch[1].phones.flip(0), batch[1].prompt, -batch[1].bert, seed=77, max_tokens=7)
    after = generate_batch(networks.s1, [batch[0], changed, *batch[2:]])
    assert [tokens.tolist() for tokens in before][0::2] == [tokens.tolist() for tokens in after][0::2]
    assert before[3].tolist() == after[3].tolist()
    assert before[1].tolist() != after[1].tolist()


@torch.no_grad()
def test_rows_of_a_prefill_get_the_logits_they_get_alone_whatever_the_padding_holds(networks: Networks) -> None:
    batch = utterances()
    text, audio = (torch.tensor([len(part) for part in parts]) for parts in zip(
        *((one.phones, one.prompt) for one in batch), strict=True))  # fmt: skip

    def prefilled(padding: int) -> torch.Tensor:
        pad = torch.nn.utils.rnn.pad_sequence
        phones = pad([one.phones for one in batch], batch_first=True, padding_value=padding)
        prompt = pad([one.prompt for one in batch], batch_first=True, padding_value=padding)
        return networks.s1.prefill_rows(phones, text, None, prompt, audio)[0]

    logits = prefilled(3)
    assert torch.equal(logits, prefilled(30))
    for row, one in enumerate(batch):
        single = networks.s1.prefill(one.phones[None], None, one.prompt[None])[0][0]
        torch.testing.assert_close(logits[row], single, rtol=0, atol=1e-5)


def test_no_utterances_are_no_tokens(networks: Networks) -> None:
    assert generate_batch(networks.s1, []) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"phones": torch.tensor([], dtype=torch.long)}, "at least one phone", id="no phones"),
        pytest.param({"phones": PHONES}, "at least one phone", id="two axes of phones"),
        pytest.param({"prompt": PROMPT}, "one row of tokens", id="two axes of tokens"),
        pytest.param({"bert": torch.zeros(3, 8)}, "bert has 3 rows for 4 phones", id="bert of another length"),
        pytest.param({"max_tokens": 1501}, "max_tokens=1501", id="too many steps"),
    ],
)
def test_an_utterance_that_cannot_be_said_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidModelInput, match=message):
        GenerationRequest(**{"phones": PHONES[0], "prompt": PROMPT[0]} | fields)  # type: ignore[arg-type]


def speech() -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(8)
    codes = [torch.randint(0, 32, (size,)) for size in (5, 11, 2)]
    texts = [torch.randint(0, 40, (size,)) for size in (7, 3, 1)]
    return codes, texts, torch.randn(3, 24, 1)


def test_a_batch_sounds_as_each_utterance_does_alone_up_to_its_last_sample(networks: Networks) -> None:
    codes, texts, ge = speech()
    together = synthesize_batch(networks.s2, codes, texts, ge, seeds=(4, 5, 6))
    for row, seed in enumerate((4, 5, 6)):
        single = synthesize(networks.s2, codes[row][None], texts[row][None], ge[row : row + 1], seed=seed)[0, 0]
        assert single.abs().max() > 0.1
        torch.testing.assert_close(together[row], single, rtol=0, atol=1e-5)


def test_a_sentence_does_not_leak_into_another(networks: Networks) -> None:
    codes, texts, ge = speech()
    before = synthesize_batch(networks.s2, codes, texts, ge, seeds=(4, 5, 6))
    other = [texts[0].flip(0), *texts[1:]]
    after = synthesize_batch(networks.s2, codes, other, ge, seeds=(4, 5, 6))
    assert torch.equal(before[1], after[1])
    assert torch.equal(before[2], after[2])
    assert not torch.equal(before[0], after[0])


@torch.no_grad()
def test_the_padding_of_a_decoded_batch_reaches_only_as_far_as_the_generator_sees(networks: Networks) -> None:
    codes, text, ge = torch.randint(0, 32, (2, 14)), torch.randint(0, 40, (2, 5)), torch.randn(2, 24, 1)
    noise, lengths = torch.zeros(2, 16, 28), torch.tensor([9, 14])
    wav = networks.s2.decode(codes, text, ge, noise, token_lengths=lengths)
    single = networks.s2.decode(codes[:1, :9], text[:1], ge[:1], noise[:1, :, :18])
    inside = (18 - generator_receptive_field(networks.s2.config)) * networks.s2.config.hop
    assert inside > 0
    torch.testing.assert_close(wav[:1, :, :inside], single[:, :, :inside], rtol=0, atol=1e-5)
