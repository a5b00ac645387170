"""Fine-tuning: batches cover every clip once, every matrix learns, and losses fall."""

from pathlib import Path

import pytest
import torch

from sovits_core.bundle.base import open_base
from sovits_core.bundle.strategies import Finetuning, LearningRateMultipliers, SmoothedTarget
from sovits_core.features.recording import spectrogram
from sovits_core.formats.adapters import attach_adapter
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from voice_trainer.errors import BadData
from voice_trainer.training.examples import Example, collate, epoch_order
from voice_trainer.training.finetune import (
    Finetuner,
    LearningRates,
    full_target,
    learning_rates,
    smoothed_difference,
    synthesis_losses,
)
from voice_trainer.training.precision import Precision, choose_precision
from voice_trainer.training.recompute import recompute_activations, wants_recomputation

CPU = torch.device("cpu")
FP32 = Precision("fp32", CPU)
RATES = LearningRates(1e-2, 1e-2)


@pytest.mark.parametrize(("clips", "batch_size"), [(1, 4), (29, 4), (64, 4), (10, 1), (3, 100)])
def test_an_epoch_is_every_clip_once(clips: int, batch_size: int) -> None:
    batches = epoch_order([n % 7 for n in range(clips)], batch_size, seed=1, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(clips))
    assert max(len(batch) for batch in batches) <= batch_size


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = list(range(40))
    assert epoch_order(lengths, 4, seed=1, epoch=2) == epoch_order(lengths, 4, seed=1, epoch=2)
    assert epoch_order(lengths, 4, seed=1, epoch=2) != epoch_order(lengths, 4, seed=1, epoch=3)
    assert epoch_order(lengths, 4, seed=1, epoch=2) != epoch_order(lengths, 4, seed=2, epoch=2)


def load(random_base: Path) -> Networks:
    base = open_base(random_base.as_uri())
    s1, s2 = TextToSemantic(base.document.s1), Synthesizer(base.document.synthesizer)
    load_weights(s1, base.path("s1.safetensors"))
    load_weights(s2, base.path("s2g.safetensors"))
    return Networks(s1, s2)


@pytest.fixture
def networks(random_base: Path) -> Networks:
    return load(random_base)


def an_example(tokens: int, seed: int) -> Example:
    """A tone in noise, one frame longer than its tokens, as recordings are."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange((2 * tokens + 1) * 640) / 32000
    wav = 0.3 * torch.sin(2 * torch.pi * 200 * time) + 0.01 * torch.randn(len(time), generator=generator)
    return Example(
        id=str(seed),
        phones=torch.randint(0, 700, (tokens,), generator=generator),
        bert=None,
        tokens=torch.randint(0, 32, (tokens,), generator=generator),
        speaker_embedding=torch.randn(32, generator=generator),
        spectrogram=spectrogram(wav),
        wav=wav,
    )


def test_every_matrix_of_the_adapter_learns_and_the_losses_fall(networks: Networks) -> None:
    model = attach_adapter(networks, 2, ("attention",), seed=1)
    examples = [an_example(12, 1), an_example(20, 2)]
    batch = collate(examples, [example.speaker_embedding for example in examples], CPU)
    finetuner = Finetuner(model, networks, RATES, Finetuning(), FP32)
    model.eval()  # without dropout the same step can be compared with itself
    start = {name: value.detach().clone() for name, value in finetuner.parameters.items()}
    losses = [finetuner.step([batch], torch.Generator().manual_seed(1)) for _ in range(20)]
    still = [name for name, value in finetuner.parameters.items() if torch.equal(value, start[name])]
    assert not still
    assert losses[-1].semantic < losses[0].semantic
    assert losses[-1].kl < losses[0].kl


def test_a_base_names_a_learning_rate_multiplier_for_each_network(networks: Networks) -> None:
    model = attach_adapter(networks, 2, ("attention",), seed=1)
    model.eval()
    finetuning = Finetuning(learning_rate_multipliers=LearningRateMultipliers(s1=0.5, s2=20))
    finetuner = Finetuner(model, networks, learning_rates(1e-3, finetuning), finetuning, FP32)
    example = an_example(20, 2)
    start = {name: value.detach().clone() for name, value in finetuner.parameters.items()}
    finetuner.step([collate([example], [example.speaker_embedding], CPU)], torch.Generator().manual_seed(1))
    # The length of Adam's first step is the learning rate, whatever the gradient.
    moved = {name: float((value.detach() - start[name]).abs().max()) for name, value in finetuner.parameters.items()}
    assert max(moved[name] for name in moved if "s1." in name) == pytest.approx(0.5e-3, rel=0.01)
    assert max(moved[name] for name in moved if "s2." in name) == pytest.approx(20e-3, rel=0.01)


def test_the_mel_loss_reaches_the_prior_that_the_adapter_changes(networks: Networks) -> None:
    attach_adapter(networks, 2, ("attention",), seed=1).eval()
    for name, value in networks.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    example = an_example(20, 2)
    batch = collate([example], [example.speaker_embedding], CPU)
    _, mel = synthesis_losses(networks.s2, batch, torch.Generator().manual_seed(1), full_target, FP32)
    mel.backward()
    adapted = [value for name, value in networks.s2.named_parameters() if value.requires_grad]
    assert adapted
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in adapted)


def test_a_smoothed_target_keeps_lasting_differences_and_drops_quick_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    base, posterior = torch.randn(2, 1, 8, 40, generator=generator).unbind(0)
    mask = (torch.arange(40) < 30).float()[None, None]
    # a constant difference is kept whole, also at the edges
    constant = smoothed_difference(base, base + 2, mask, frames=3)
    torch.testing.assert_close((constant - base)[..., :30], torch.full((1, 8, 30), 2.0))
    # an alternating one is averaged out
    alternating = smoothed_difference(base, base + (-1.0) ** torch.arange(40), mask, frames=3)
    assert (alternating - base)[..., :30].abs().max() < 0.3
    # frames outside the mask do not count
    padded = smoothed_difference(base, torch.where(mask > 0, posterior, 9.0), mask, frames=3)
    torch.testing.assert_close(padded[..., :30], smoothed_difference(base, posterior, mask, frames=3)[..., :30])


def test_a_smoothed_target_is_the_bases_whatever_the_adapter(networks: Networks) -> None:
    model = attach_adapter(networks, 2, ("attention",), seed=1)
    examples = [an_example(12, 1), an_example(20, 2)]
    batch = collate(examples, [example.speaker_embedding for example in examples], CPU)
    finetuner = Finetuner(model, networks, RATES, Finetuning(target=SmoothedTarget(frames=4)), FP32)
    model.train()

    def kl_of_a_step() -> float:
        torch.manual_seed(5)  # of the dropout
        return finetuner.step([batch], torch.Generator().manual_seed(1)).kl

    first, second = kl_of_a_step(), kl_of_a_step()
    for name, value in networks.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(value)
    assert kl_of_a_step() == pytest.approx(first, rel=1e-4)
    assert second != pytest.approx(first, rel=1e-3)
    assert networks.s2.training


def test_a_loss_that_is_no_number_stops_the_training_with_the_remedy(networks: Networks) -> None:
    model = attach_adapter(networks, 2, ("attention",), seed=1)
    example = an_example(20, 2)
    batch = collate([example], [torch.full((32,), torch.nan)], CPU)
    with pytest.raises(BadData, match=r"lower training\.learningRate \(now 0\.01\)") as caught:
        Finetuner(model, networks, RATES, Finetuning(), FP32).step([batch], torch.Generator().manual_seed(1))
    assert caught.value.reason == "TrainingDiverged"


def test_padding_does_not_change_what_a_clip_teaches(networks: Networks) -> None:
    short = an_example(12, 1)
    alone = collate([short, short], [short.speaker_embedding] * 2, CPU)
    padded = collate([short, an_example(30, 2)], [short.speaker_embedding] * 2, CPU)
    s1 = networks.s1.eval()
    with torch.no_grad():
        expected = s1(alone.phones, alone.phone_lengths, None, alone.tokens, alone.token_lengths)
        found = s1(padded.phones, padded.phone_lengths, None, padded.tokens, padded.token_lengths)
    torch.testing.assert_close(found[0, :13], expected[0], atol=1e-5, rtol=1e-4)


def test_a_network_has_its_own_learning_rate_where_one_is_given() -> None:
    finetuning = Finetuning(learning_rate_multipliers=LearningRateMultipliers(s1=0.5, s2=20))
    assert learning_rates(1e-3, finetuning, s1=3e-4) == LearningRates(3e-4, 20e-3)
    assert learning_rates(1e-3, finetuning, s2=1e-5) == LearningRates(0.5e-3, 1e-5)


def gradients(networks: Networks, parts: list[list[Example]], precision: Precision = FP32) -> dict[str, torch.Tensor]:
    """Of one step over the parts of a batch, before they are clipped to a length: so of SGD without momentum."""
    model = attach_adapter(networks, 2, ("attention",), seed=1).eval()
    for name, value in networks.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1, generator=torch.Generator().manual_seed(3))
    finetuner = Finetuner(model, networks, RATES, Finetuning(), precision)
    found: dict[str, torch.Tensor] = {}

    def keep(*_: object) -> None:
        found.update({name: value.grad.clone() for name, value in finetuner.parameters.items()})

    finetuner.optimizer.register_step_pre_hook(keep)
    finetuner.step(
        [collate(part, [one.speaker_embedding for one in part], CPU) for part in parts],
        torch.Generator().manual_seed(1),
    )
    return found


def test_several_small_batches_teach_s1_what_one_of_all_their_clips_does(random_base: Path) -> None:
    clips = [an_example(tokens, seed) for seed, tokens in enumerate((8, 12, 20, 31), start=1)]
    whole = gradients(load(random_base), [clips])
    parts = gradients(load(random_base), [clips[:1], clips[1:]])
    s1 = [name for name in whole if "s1." in name]
    for name in s1:
        torch.testing.assert_close(parts[name], whole[name], atol=1e-6, rtol=1e-3)
    # S2 draws other noise and other segments, so its gradients only point the same way
    for name in whole.keys() - set(s1):
        assert torch.cosine_similarity(parts[name].flatten(), whole[name].flatten(), dim=0) > 0.5, name


@pytest.mark.parametrize(("name", "nearness"), [("bf16", 0.95), ("fp16", 0.99)])
def test_half_precision_teaches_nearly_the_same(random_base: Path, name: str, nearness: float) -> None:
    clips = [an_example(12, 1), an_example(20, 2)]
    exact = gradients(load(random_base), [clips])
    rough = gradients(load(random_base), [clips], Precision(name, CPU))
    for parameter, value in exact.items():
        assert value.dtype == rough[parameter].dtype == torch.float32
        assert torch.cosine_similarity(rough[parameter].flatten(), value.flatten(), dim=0) > nearness, parameter
    assert not all(torch.equal(rough[parameter], value) for parameter, value in exact.items())


def test_a_cpu_computes_in_float32_unless_something_else_is_asked_for() -> None:
    assert choose_precision("auto", CPU).name == "fp32"
    assert choose_precision("bf16", CPU).name == "bf16"
    assert not choose_precision("auto", CPU).scaler.is_enabled()


def test_recomputed_activations_change_nothing_and_are_not_kept(random_base: Path) -> None:
    def run(*, recompute: bool) -> tuple[dict[str, torch.Tensor], int]:
        networks = load(random_base)
        model = attach_adapter(networks, 2, ("attention",), seed=1)
        if recompute:
            recompute_activations(networks)
        model.train()
        finetuner = Finetuner(model, networks, RATES, Finetuning(), FP32)
        kept = 0

        def count(value: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += value.nbytes
            return value

        clips = [an_example(40, 1), an_example(50, 2)]
        batch = collate(clips, [one.speaker_embedding for one in clips], CPU)
        for step in range(2):
            torch.manual_seed(step)  # dropout is on
            with torch.autograd.graph.saved_tensors_hooks(count, lambda value: value):
                finetuner.step([batch], torch.Generator().manual_seed(step))
        return {name: value.detach().clone() for name, value in finetuner.parameters.items()}, kept

    plain, kept = run(recompute=False)
    again, kept_again = run(recompute=True)
    assert all(torch.equal(again[name], value) for name, value in plain.items())
    assert kept_again < 0.7 * kept


@pytest.mark.parametrize(
    ("asked", "divisor", "wanted"),
    [("auto", 1, False), ("auto", 2, True), ("always", 1, True), ("never", 8, False)],
)
def test_activations_are_recomputed_when_memory_asks_for_it(asked: str, divisor: int, wanted: bool) -> None:
    assert wants_recomputation(asked, divisor) is wanted
