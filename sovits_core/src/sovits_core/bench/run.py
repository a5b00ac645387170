"""One run of all measurements, and the document that it leaves."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sovits_core.bench import agreement, machine, measure, samples
from sovits_core.bench.measure import Agreement, interleaved, summary
from sovits_core.bench.sessions import Array, Served, ServedDecoder, Session, StoredStepLoop
from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig
from sovits_core.export import export_graphs
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.rounding import WeightBits
from sovits_core.synthesis.sampling import Sampling

GREEDY_PROMPTS, GREEDY_TOKENS = 20, 25
TINY_PROMPTS = 30
ROWS = (1, 2, 4, 8, 16)
KINDS: dict[str, WeightBits] = {"fp32": 32, "int8": 8, "int4": 4}
"""A server's steps, by bits of a weight."""
STORED = "stored"
"""The graph as a base has it: what others are compared with."""

Say = Callable[[str], None]
Document = dict[str, Any]


def run(threads: int, say: Say) -> Document:
    """Measure S1 and every S2 at the official sizes; weights are random and are not kept.

    Returns:
        `s1_tokens_per_second`, `s1_rows_tokens_per_second`, `s2_rtf`, `max_difference` and `same_greedy_tokens` as
        docs/performance.md tells, with `machine` and, where there is one, `gpu`.
    """
    torch.set_num_threads(threads)
    about = machine.describe(threads)
    if about["loaded"]:
        say(f"warning: load average {about['loadAverage']}: the figures will be worse than they should")
    document: Document = {"s1_tokens_per_second": {}, "s2_rtf": {}, "max_difference": {}, "machine": about}
    with tempfile.TemporaryDirectory() as folder:
        s1 = measure_s1(samples.random_s1(TextToSemanticConfig()), Path(folder), threads, say)
    document["s1_tokens_per_second"] = s1.speed
    document["s1_rows_tokens_per_second"] = s1.rows
    document["max_difference"] |= s1.differences
    say("S1: greedy tokens of the tiny base with fewer bits")
    tiny = agreement.tiny_agreement(threads, _ROUNDED, TINY_PROMPTS)
    document["same_greedy_tokens"] = {
        "random": {kind: _shares(counts) for kind, counts in s1.agreement.items()},
        "tiny": {kind: _shares(counts) for kind, counts in tiny.items()},
    }
    for version, config in samples.VERSIONS.items():
        say(f"S2 {version}")
        with tempfile.TemporaryDirectory() as folder:
            difference, factors = measure_s2(
                samples.random_s2(config), Path(folder), threads, timed=version in samples.TIMED
            )
        document["max_difference"][f"s2_decode_{version}"] = difference
        if factors:
            document["s2_rtf"][version] = factors
    if torch.cuda.is_available():
        document["gpu"] = measure_gpu(say)
    return document


@dataclass(frozen=True)
class S1Figures:
    """Measurements of S1."""

    speed: dict[str, dict[str, dict[str, float]]]
    """By filled positions and kind."""
    rows: dict[str, dict[str, dict[str, float]]]
    """By kind and number of rows, of all rows together."""
    differences: dict[str, float]
    agreement: dict[str, list[Agreement]]
    """With 32 bits, by kind and prompt."""


def measure_s1(s1: TextToSemantic, folder: Path, threads: int, say: Say) -> S1Figures:
    """Export S1 into a folder; compare and time its graphs."""
    say("S1: exporting prefill and step")
    # the exporter takes both networks; the other one is as small as can be
    sections = export_graphs(Networks(s1, Synthesizer(_SMALL_S2)), folder, graphs=("s1_prefill", "s1_step"))
    prefill = _open(folder, sections["s1_prefill"], threads, drop_nan_guards)
    stored = _open(folder, sections["s1_step"], threads)
    steps = {kind: Served(stored, threads, bits) for kind, bits in KINDS.items()}
    inputs = samples.s1_inputs(s1.config)
    differences = {
        "s1_prefill": measure.prefill_difference(s1, prefill, inputs),
        "s1_step_stored": measure.step_difference(
            s1, lambda keys, values, _: StoredStepLoop(stored, keys, values), inputs
        ),
    }
    for kind, step in steps.items():
        differences[f"s1_step_{kind}"] = measure.step_difference(s1, step.start, inputs)
    speed = {}
    for prompt in samples.PROMPTS:
        filled = samples.PHONES + prompt
        say(f"S1: tokens after {filled} positions, {', '.join(('torch', STORED, *steps))} in turn")
        speed[str(filled)] = _speeds(s1, prefill, stored, steps, prompt)
    say(f"S1: {', '.join(map(str, ROWS))} rows in turn, each with its own adapter")
    rows = _rows(prefill, steps, s1.config)
    say("S1: greedy tokens of random weights with fewer bits")
    return S1Figures(speed, rows, differences, _agreement(s1, prefill, steps))


def _speeds(
    s1: TextToSemantic, prefill: Session, stored: Session, steps: dict[str, Served], prompt: int
) -> dict[str, dict[str, float]]:
    """Tokens per second behind a prompt of so many tokens, by kind."""
    inputs, end = samples.s1_inputs(s1.config, prompt=prompt), s1.config.end_token
    given = measure.arrays(inputs)
    logits, keys, values = prefill.run(given)

    def rate(loop: measure.Loop, count: int) -> float:
        return measure.loop_tokens_per_second(loop, logits[0], given["prompt"][0], end, count)

    def tasks(count: int) -> dict[str, Callable[[], float]]:
        served: dict[str, Callable[[], float]] = {
            kind: lambda step=step: rate(step.start(keys, values, count), count)  # type: ignore[misc]
            for kind, step in steps.items()
        }
        return {
            "torch": lambda: measure.torch_tokens_per_second(s1, inputs, count),
            STORED: lambda: rate(StoredStepLoop(stored, keys, values), count),
        } | served

    interleaved(tasks(min(measure.WARM_UP_STEPS, samples.STEPS)), repeats=1)
    return summary(interleaved(tasks(samples.STEPS)), STORED, digits=1)


def _rows(
    prefill: Session, steps: dict[str, Served], config: TextToSemanticConfig
) -> dict[str, dict[str, dict[str, float]]]:
    """Tokens per second of several rows behind the shorter prompt, by kind and number; `times` that of one row."""
    prompt = samples.PROMPTS[0]
    _, keys, values = prefill.run(measure.arrays(samples.s1_inputs(config, prompt=prompt)))

    def rate(step: Served, count: int, reads: int) -> float:
        read = step.together(count, keys, values, reads)
        started = time.perf_counter()
        for number in range(reads):
            read(prompt + number)
        return count * reads / (time.perf_counter() - started)

    def tasks(step: Served, tokens: int) -> dict[str, Callable[[], float]]:
        return {str(count): lambda count=count: rate(step, count, max(1, tokens // count)) for count in ROWS}  # type: ignore[misc]

    found = {}
    for kind, step in steps.items():
        interleaved(tasks(step, max(ROWS)), repeats=1)
        found[kind] = summary(interleaved(tasks(step, 2 * samples.STEPS)), "1", digits=1)
    return found


def _agreement(s1: TextToSemantic, prefill: Session, steps: dict[str, Served]) -> dict[str, list[Agreement]]:
    """With 32 bits, by kind and prompt."""
    found: dict[str, list[Agreement]] = {kind: [] for kind in _ROUNDED}
    for more in range(GREEDY_PROMPTS):
        given = measure.arrays(samples.s1_inputs(s1.config, 30 + more, 40 + more))
        logits, keys, values = prefill.run(given)
        for kind, counts in found.items():
            loops = (steps["fp32"].start(keys, values, GREEDY_TOKENS), steps[kind].start(keys, values, GREEDY_TOKENS))
            prompt: Array = given["prompt"][0]
            choice = (Sampling(), s1.config.end_token)
            counts.append(measure.greedy_agreement(loops, logits[0], prompt, choice, GREEDY_TOKENS))
    return found


def _shares(found: list[Agreement]) -> dict[str, float]:
    return {
        "prompts": len(found),
        "allTheSame": sum(one.same == one.choices for one in found),
        "choices": sum(one.choices for one in found),
        "sameChoices": sum(one.same for one in found),
        "medianBeforeTheFirstOther": float(np.median([one.before for one in found])),
    }


def measure_s2(
    s2: Synthesizer, folder: Path, threads: int, *, timed: bool
) -> tuple[float, dict[str, dict[str, float]]]:
    """Export an S2 into a folder; return how far a server's graph is from it, and real-time factors by kind."""
    inputs = samples.s2_inputs(s2.config)
    section = export_graphs(Networks(TextToSemantic(_SMALL_S1), s2), folder, graphs=("s2_decode",))["s2_decode"]
    stored = _open(folder, section, threads)
    served = ServedDecoder(stored, threads)
    difference = measure.decode_difference(s2, served, inputs)
    if not timed:
        return difference, {}
    seconds, arrays = _seconds(s2, inputs), measure.arrays(inputs)
    tasks = {
        "torch": lambda: measure.real_time_factor(lambda: s2.decode(*inputs.values()), seconds),
        STORED: lambda: measure.real_time_factor(lambda: stored.run(arrays), seconds),
        "served": lambda: measure.real_time_factor(lambda: served.run(arrays), seconds),
    }
    interleaved(tasks, repeats=1)
    return difference, summary(interleaved(tasks), STORED, digits=3)


def measure_gpu(say: Say) -> Document:
    """S1 and S2 in torch on the first GPU, in float32 and float16."""
    result: Document = {"name": torch.cuda.get_device_name(0), "s1_tokens_per_second": {}, "s2_rtf": {}}
    for label, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        say(f"GPU: {label}")
        s1 = samples.random_s1(TextToSemanticConfig()).to("cuda", dtype)
        inputs = {name: tensor.cuda() for name, tensor in samples.s1_inputs(s1.config).items()}
        rates = {label: lambda s1=s1, inputs=inputs: measure.torch_tokens_per_second(s1, inputs, samples.STEPS)}
        interleaved(rates, repeats=1)
        result["s1_tokens_per_second"][label] = summary(interleaved(rates), label, digits=1)[label]["median"]
        for version in samples.TIMED:
            s2 = samples.random_s2(samples.VERSIONS[version]).to("cuda", dtype)
            whole = {
                name: tensor.cuda().to(dtype) if tensor.is_floating_point() else tensor.cuda()
                for name, tensor in samples.s2_inputs(s2.config).items()
            }

            def decode(s2: Synthesizer = s2, whole: dict[str, torch.Tensor] = whole) -> None:
                s2.decode(*whole.values())
                torch.cuda.synchronize()

            seconds = _seconds(s2, whole)
            factors = {label: lambda decode=decode, seconds=seconds: measure.real_time_factor(decode, seconds)}
            interleaved(factors, repeats=1)
            found = result["s2_rtf"].setdefault(version, {})
            found[label] = summary(interleaved(factors), label, digits=4)[label]["median"]
    return result


def _seconds(s2: Synthesizer, inputs: dict[str, torch.Tensor]) -> float:
    return inputs["noise"].shape[2] * s2.config.hop / s2.config.sample_rate


def _open(folder: Path, section: dict[str, Any], threads: int, *rewrites: Any) -> Session:
    return Session(folder / section["file"], section["lora"], threads, *rewrites)


_ROUNDED: dict[str, WeightBits] = {kind: bits for kind, bits in KINDS.items() if bits != 32}
_SMALL_S1 = TextToSemanticConfig(phonemes=2, vocabulary=3, bert_dim=1, hidden=4, heads=1, layers=1, feed_forward=4)
_SMALL_S2 = SynthesizerConfig(
    phonemes=2, codebook_size=2, ssl_dim=2, latent=2, hidden=2, filter=2, ssl_layers=1, text_layers=1,
    mixed_layers=1, cross_hidden=4, speaker_embedding=4, reference_hidden=4, posterior_layers=1, flows=1,
    flow_layers=1, upsample_rates=(2,), upsample_kernels=(2,), upsample_channels=2, block_kernels=(3,),
    block_dilations=((1,),),
)  # fmt: skip
