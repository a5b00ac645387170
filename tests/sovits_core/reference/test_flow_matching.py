import pytest
import torch
from torch import Tensor

from sovits_core.bundle.model_config import (
    DiffusionTransformerConfig,
    MelConfig,
    MelSynthesizerConfig,
    VocoderConfig,
    s2_v3,
    s2_v4,
)
from sovits_core.errors import InvalidModelInput
from sovits_core.models.normed import is_folded
from sovits_core.reference.diffusion_transformer import DiffusionTransformer
from sovits_core.reference.flow_matching import continue_mel, integrate
from sovits_core.reference.losses import flow_matching_loss
from sovits_core.reference.mel_generation import MelPrompt, normalised_mel, restored_mel, synthesize
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.reference.vocoder import Vocoder

BANDS = 4
SMALL = MelSynthesizerConfig(
    phonemes=20,
    codebook_size=16,
    ssl_dim=12,
    spectrogram_bins=33,
    latent=8,
    hidden=8,
    filter=16,
    ssl_layers=1,
    text_layers=1,
    mixed_layers=1,
    cross_hidden=16,
    speaker_embedding=16,
    reference_bins=30,
    reference_hidden=8,
    features=8,
    feature_layers=2,
    mel=MelConfig(sample_rate=8000, n_fft=128, hop=32, bands=BANDS),
    mel_frames_per_latent=1.875,
    velocity=DiffusionTransformerConfig(
        width=16,
        layers=2,
        heads=2,
        feed_forward=32,
        dropout=0.0,
        time_frequencies=8,
        feature_layers=1,
        position_kernel=3,
        position_groups=4,
    ),
    prompt_frames=10,
    chunk_frames=24,
)


@pytest.fixture
def s2() -> MelSynthesizer:
    torch.manual_seed(0)
    return MelSynthesizer(SMALL).eval()


def noise(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(1, BANDS, frames, generator=torch.Generator().manual_seed(seed))


def features(frames: int, seed: int = 1) -> Tensor:
    return torch.randn(1, 8, frames, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("config", "numerator", "denominator"), [(s2_v3(), 8, 15), (s2_v4(), 1, 2)])
def test_mel_frames_take_the_latent_frame_under_them(
    config: MelSynthesizerConfig, numerator: int, denominator: int
) -> None:
    frames = 2000  # 40 seconds
    latent = torch.arange(float(frames))[None, None]
    mel = torch.nn.functional.interpolate(latent, scale_factor=config.mel_frames_per_latent, mode="nearest")[0, 0]
    assert mel.tolist() == [frame * numerator // denominator for frame in range(frames * denominator // numerator)]


def test_one_second_of_codes_is_one_second_of_mel() -> None:
    for config in (s2_v3(), s2_v4()):
        assert 50 * config.mel_frames_per_latent == config.mel.sample_rate / config.mel.hop


@torch.no_grad()
def test_a_padded_row_has_the_features_it_has_alone(s2: MelSynthesizer) -> None:
    torch.manual_seed(1)
    codes, text, ge = torch.randint(16, (2, 9)), torch.randint(20, (2, 6)), torch.randn(2, 16, 1)
    together, lengths = s2.features(codes, text, ge, torch.tensor([9, 5]), torch.tensor([6, 4]))
    alone, own = s2.features(codes[1:, :5], text[1:, :4], ge[1:])
    assert lengths.tolist() == [33, 18]  # floor(18 * 1.875), floor(10 * 1.875)
    assert own.tolist() == [18]
    torch.testing.assert_close(together[1:, :, :18], alone)
    assert not together[1, :, 18:].any()


@torch.no_grad()
def test_folding_changes_no_feature(s2: MelSynthesizer) -> None:
    given = torch.randint(16, (1, 6)), torch.randint(20, (1, 5)), torch.randn(1, 16, 1)
    before, _ = s2.features(*given)
    s2.fold_weight_norm()
    assert is_folded(s2)
    torch.testing.assert_close(s2.features(*given)[0], before)


@torch.no_grad()
def test_integration_follows_the_velocity_and_keeps_the_prompt_silent(s2: MelSynthesizer) -> None:
    start, prompt, conditions = noise(7), noise(3, seed=5), features(10)
    ours = integrate(s2.velocity, start, prompt, conditions, steps=2)
    encoded = s2.velocity.encode_features(conditions)
    known = torch.cat([prompt, torch.zeros(1, BANDS, 7)], dim=2)
    x, silent, step = torch.cat([torch.zeros(1, BANDS, 3), start], dim=2), torch.zeros(1, BANDS, 3), torch.tensor([0.5])
    x = x + 0.5 * s2.velocity(x, known, encoded, torch.tensor([0.0]), step)
    x = torch.cat([silent, x[:, :, 3:]], dim=2)
    x = x + 0.5 * s2.velocity(x, known, encoded, torch.tensor([0.5]), step)
    torch.testing.assert_close(ours, x[:, :, 3:])


@torch.no_grad()
def test_each_chunk_continues_the_one_before_it(s2: MelSynthesizer) -> None:
    # a prompt of 12 frames is cut to its last 10, which leaves room for chunks of 14: 14 + 14 + 2
    prompt, prompt_features, said, start = noise(12, seed=3), features(13, seed=4), features(30), noise(30)
    ours = continue_mel(s2, prompt, prompt_features, said, start, steps=2)
    before, told = prompt[:, :, 2:12], prompt_features[:, :, 2:12]
    for first, last in ((0, 14), (14, 28), (28, 30)):
        together = torch.cat([told, said[:, :, first:last]], dim=2)
        expected = integrate(s2.velocity, start[:, :, first:last], before, together, steps=2)
        torch.testing.assert_close(ours[:, :, first:last], expected)
        before, told = expected[:, :, -10:], said[:, :, first:last][:, :, -10:]
    assert ours.shape == (1, BANDS, 30)


@pytest.mark.parametrize(
    ("prompt", "said", "start", "words"),
    [
        pytest.param(0, 5, 5, "at least one frame", id="no prompt"),
        pytest.param(4, 0, 0, "at least one frame", id="nothing to say"),
        pytest.param(4, 5, 6, "6 frames of noise do not match 5", id="too much noise"),
    ],
)
def test_frames_that_do_not_fit_are_refused(s2: MelSynthesizer, prompt: int, said: int, start: int, words: str) -> None:
    with pytest.raises(InvalidModelInput, match=words):
        continue_mel(s2, noise(prompt), features(prompt), features(said), noise(start), steps=2)


def test_no_steps_are_refused(s2: MelSynthesizer) -> None:
    with pytest.raises(InvalidModelInput, match="steps=0"):
        integrate(s2.velocity, noise(4), noise(2), features(6), steps=0)


def test_speech_depends_on_the_seed_alone_and_leaves_other_random_numbers_be(s2: MelSynthesizer) -> None:
    torch.manual_seed(2)
    vocoder = Vocoder(
        VocoderConfig(bands=BANDS, upsample_rates=(4, 4), upsample_kernels=(8, 8), upsample_channels=16)
    ).eval()
    wav = 0.1 * torch.randn(320)
    prompt = MelPrompt(
        mel=normalised_mel(wav[None], SMALL.mel),
        tokens=torch.randint(16, (1, 4)),
        text=torch.randint(20, (1, 5)),
        speaker_embedding=s2.speaker_embedding(torch.rand(1, 33, 12)).detach(),
    )
    codes, text = torch.randint(16, (1, 20)), torch.randint(20, (1, 7))
    before = torch.random.get_rng_state()
    first = synthesize(s2, vocoder, prompt, codes, text, seed=7, steps=2)
    again = synthesize(s2, vocoder, prompt, codes, text, seed=7, steps=2)
    other = synthesize(s2, vocoder, prompt, codes, text, seed=8, steps=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.shape == (1, 1, 75 * 16)  # 20 codes are 40 latent frames, 75 of mel
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_mel_is_normalised_and_restored() -> None:
    silence = normalised_mel(torch.zeros(1, 640), SMALL.mel)
    torch.testing.assert_close(restored_mel(silence), torch.full_like(silence, -11.512925))  # ln 1e-5
    assert restored_mel(torch.tensor([-1.0, 1.0])).tolist() == [-12, 2]


def loss_of(s2: MelSynthesizer, mel: Tensor, conditions: Tensor, lengths: Tensor, seed: int) -> Tensor:
    return flow_matching_loss(s2.velocity, mel, conditions, lengths, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(8))  # plain batches and shortcuts both
def test_the_loss_sees_no_padding(s2: MelSynthesizer, seed: int) -> None:
    mel, conditions, lengths = noise(12).repeat(2, 1, 1), features(12).repeat(2, 1, 1), torch.tensor([12, 7])
    loss = loss_of(s2, mel, conditions, lengths, seed)
    other_mel, other_conditions = mel.clone(), conditions.clone()
    other_mel[1, :, 7:], other_conditions[1, :, 7:] = 100.0, -100.0
    torch.testing.assert_close(loss_of(s2, other_mel, other_conditions, lengths, seed), loss)


def test_shortcuts_end_at_speech_or_before(s2: MelSynthesizer) -> None:
    asked: list[tuple[float, float]] = []

    def keep(_module: object, args: tuple[Tensor, ...], _kwargs: object, _output: object) -> None:
        asked.extend(zip(args[3].tolist(), args[4].tolist(), strict=True))

    s2.velocity.register_forward_hook(keep, with_kwargs=True)
    shortcuts = 0
    for seed in range(60):
        asked.clear()
        loss_of(s2, noise(8).repeat(2, 1, 1), features(8).repeat(2, 1, 1), torch.tensor([8, 8]), seed)
        if len(asked) == 2:
            assert [step for _, step in asked] == [0, 0]
            continue
        shortcuts += 1
        assert len(asked) == 6  # two single steps and the double step, of two rows
        for row in range(2):
            (first, single), (second, same), (start, double) = asked[row::2]
            assert second - first == pytest.approx(double / 2, rel=1e-4)
            assert single == same
            assert single == pytest.approx(double / 2 if double / 2 >= 1e-2 else 0)
            assert start == first
            assert start + double <= 1 + 1e-6
            assert 2**-6 <= double <= 2**-1
    assert 8 <= shortcuts <= 30


def test_prompts_are_told_and_not_learnt(s2: MelSynthesizer) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    s2.velocity.register_forward_hook(lambda _module, args, _output: seen.append((args[0], args[1])))
    mel = 1 + noise(30).abs()
    for seed in range(20):
        seen.clear()
        output = loss_of(s2, mel, features(30), torch.tensor([30]), seed)
        assert output.isfinite()
        x, prompt = seen[-1]
        known = int(prompt[0, 0].count_nonzero())
        assert known <= 20
        assert torch.equal(prompt[:, :, :known], mel[:, :, :known])
        assert not x[:, :, :known].any()
        assert x[:, :, known:].all()


def test_a_toy_problem_is_learnt_and_few_steps_suffice() -> None:
    torch.manual_seed(0)
    config = SMALL.velocity.model_copy(update={"width": 32, "heads": 4})
    velocity = DiffusionTransformer(2, 4, config)
    optimiser = torch.optim.AdamW(velocity.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)

    def batch(rows: int) -> tuple[Tensor, Tensor]:
        conditions = torch.randn(rows, 4, 6, generator=generator)
        return torch.tanh(conditions[:, :2] - conditions[:, 2:]), conditions  # the features say what the mel is

    lengths = torch.full((32,), 6)
    for _ in range(300):
        mel, conditions = batch(32)
        loss = flow_matching_loss(velocity, mel, conditions, lengths, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    velocity.eval()
    mel, conditions = batch(64)
    start = torch.randn(64, 2, 6, generator=generator)
    for steps in (2, 8):
        made = integrate(velocity, start, mel[:, :, :0], conditions, steps=steps)
        assert (made - mel).square().mean() < 0.15 * mel.var(), steps


def test_a_chunk_must_hold_more_than_the_prompt() -> None:
    with pytest.raises(ValueError, match="chunkFrames=500 must exceed promptFrames=500"):
        MelSynthesizerConfig(chunk_frames=500)
