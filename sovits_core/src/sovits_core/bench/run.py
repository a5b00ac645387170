"""One run of all measurements, and the document that it leaves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sovits_core.bench import machine, measure, samples
from sovits_core.bench.sessions import Session
from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig
from sovits_core.export import STEP_INT8, export_graphs
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks

GREEDY_PROMPTS, GREEDY_TOKENS = 20, 25

Say = Callable[[str], None]
Document = dict[str, Any]


def run(threads: int, say: Say) -> Document:
    """Measure S1 and every S2 at the official sizes; weights are random and are not kept.

    Returns:
        `s1_tokens_per_second`, `s2_rtf` and `max_difference` as docs/performance.md tells, with `machine`,
        `int8_same_greedy_tokens` and, where there is one, `gpu`.
    """
    torch.set_num_threads(threads)
    about = machine.describe(threads)
    if about["loaded"]:
        say(f"warning: load average {about['loadAverage']}: the figures will be worse than they should")
    document: Document = {"s1_tokens_per_second": {}, "s2_rtf": {}, "max_difference": {}, "machine": about}
    with tempfile.TemporaryDirectory() as folder:
        s1 = measure_s1(samples.random_s1(TextToSemanticConfig()), Path(folder), threads, say)
    document["s1_tokens_per_second"], document["int8_same_greedy_tokens"] = s1.speed, s1.int8
    document["max_difference"] |= s1.differences
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

    speed: dict[str, float]
    differences: dict[str, float]
    int8: dict[str, float]


def measure_s1(s1: TextToSemantic, folder: Path, threads: int, say: Say) -> S1Figures:
    """Export S1 into a folder; compare and time its graphs."""
    inputs, end_token = samples.s1_inputs(s1.config), s1.config.end_token
    say("S1: exporting prefill, step and step_int8")
    # the exporter takes both networks; the other one is as small as can be
    sections = export_graphs(Networks(s1, Synthesizer(_SMALL_S2)), folder, graphs=("s1_prefill", "s1_step", STEP_INT8))
    prefill, step, step_int8 = (_open(folder, section, threads) for section in sections.values())
    differences = {
        "s1_prefill": measure.prefill_difference(s1, prefill, inputs),
        "s1_step": measure.step_difference(s1, step, inputs),
        "s1_step_int8": measure.step_difference(s1, step_int8, inputs),
    }
    say("S1: torch")
    speed = {"torch": round(measure.torch_tokens_per_second(s1, inputs, samples.STEPS), 1)}
    arrays = measure.arrays(inputs)
    for name, session in (("ort_fp32", step), ("ort_int8", step_int8)):
        say(f"S1: {name}")
        speed[name] = round(measure.ort_tokens_per_second(prefill, session, arrays, samples.STEPS, end_token), 1)
    say("S1: greedy tokens of int8 beside fp32")
    drawn = [measure.arrays(samples.s1_inputs(s1.config, 30 + more, 40 + more)) for more in range(GREEDY_PROMPTS)]
    shared = [
        measure.same_greedy_tokens(prefill, (step, step_int8), given, GREEDY_TOKENS, end_token) for given in drawn
    ]
    int8 = {
        "prompts": GREEDY_PROMPTS,
        "tokens": GREEDY_TOKENS,
        "allTheSame": sum(count == GREEDY_TOKENS for count in shared),
        "medianBeforeTheyPart": float(np.median(shared)),
    }
    return S1Figures(speed, differences, int8)


def measure_s2(s2: Synthesizer, folder: Path, threads: int, *, timed: bool) -> tuple[float, dict[str, float]]:
    """Export an S2 into a folder; return how far its graph is from it, and the real-time factors of both."""
    inputs = samples.s2_inputs(s2.config)
    section = export_graphs(Networks(TextToSemantic(_SMALL_S1), s2), folder, graphs=("s2_decode",))["s2_decode"]
    decode = _open(folder, section, threads)
    difference = measure.decode_difference(s2, decode, inputs)
    if not timed:
        return difference, {}
    seconds, arrays = _seconds(s2, inputs), measure.arrays(inputs)
    return difference, {
        "torch": round(measure.real_time_factor(lambda: s2.decode(*inputs.values()), seconds), 3),
        "ort": round(measure.real_time_factor(lambda: decode.run(arrays), seconds), 3),
    }


def measure_gpu(say: Say) -> Document:
    """S1 and S2 in torch on the first GPU, in float32 and float16."""
    result: Document = {"name": torch.cuda.get_device_name(0), "s1_tokens_per_second": {}, "s2_rtf": {}}
    for label, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        say(f"GPU: {label}")
        s1 = samples.random_s1(TextToSemanticConfig()).to("cuda", dtype)
        inputs = {name: tensor.cuda() for name, tensor in samples.s1_inputs(s1.config).items()}
        result["s1_tokens_per_second"][label] = round(measure.torch_tokens_per_second(s1, inputs, samples.STEPS), 1)
        for version in samples.TIMED:
            s2 = samples.random_s2(samples.VERSIONS[version]).to("cuda", dtype)
            whole = {
                name: tensor.cuda().to(dtype) if tensor.is_floating_point() else tensor.cuda()
                for name, tensor in samples.s2_inputs(s2.config).items()
            }

            def decode(s2: Synthesizer = s2, whole: dict[str, torch.Tensor] = whole) -> None:
                s2.decode(*whole.values())
                torch.cuda.synchronize()

            rates = result["s2_rtf"].setdefault(version, {})
            rates[label] = round(measure.real_time_factor(decode, _seconds(s2, whole)), 4)
    return result


def _seconds(s2: Synthesizer, inputs: dict[str, torch.Tensor]) -> float:
    return inputs["noise"].shape[2] * s2.config.hop / s2.config.sample_rate


def _open(folder: Path, section: dict[str, Any], threads: int) -> Session:
    return Session(folder / section["file"], section["lora"], threads)


_SMALL_S1 = TextToSemanticConfig(phonemes=2, vocabulary=3, bert_dim=1, hidden=4, heads=1, layers=1, feed_forward=4)
_SMALL_S2 = SynthesizerConfig(
    phonemes=2, codebook_size=2, ssl_dim=2, latent=2, hidden=2, filter=2, ssl_layers=1, text_layers=1,
    mixed_layers=1, cross_hidden=4, speaker_embedding=4, reference_hidden=4, posterior_layers=1, flows=1,
    flow_layers=1, upsample_rates=(2,), upsample_kernels=(2,), upsample_channels=2, block_kernels=(3,),
    block_dilations=((1,),),
)  # fmt: skip
