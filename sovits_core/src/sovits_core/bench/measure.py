"""The measurements themselves: tokens per second, real-time factors, and how far a graph is from its network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bench.sessions import Array, Session, StepLoop
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.synthesis.generation import GenerationRequest, generate_tokens
from sovits_core.synthesis.sampling import Sampler, Sampling

REPEATS = 3
WARM_UP_STEPS = 20


def torch_tokens_per_second(s1: TextToSemantic, inputs: Mapping[str, Tensor], steps: int) -> float:
    """Median rate of tokens after the first, which waits for the prefill."""

    def rate(count: int) -> float:
        utterance = GenerationRequest(
            inputs["phones"][0], inputs["prompt"][0], inputs["bert"][0], Sampling(), max_tokens=count
        )
        stream = generate_tokens(s1, [utterance])
        next(stream)
        started = time.perf_counter()
        spoken = sum(1 for _ in stream)  # every choice reads the logits, so a device has finished its work by then
        return spoken / (time.perf_counter() - started)

    rate(WARM_UP_STEPS)
    return statistics.median(rate(steps) for _ in range(REPEATS))


def ort_tokens_per_second(
    prefill: Session, step: Session, inputs: Mapping[str, Array], steps: int, end_token: int
) -> float:
    """As `torch_tokens_per_second`, with the loop of a server."""
    logits, keys, values = prefill.run(inputs)

    def rate(count: int) -> float:
        loop, prompt = StepLoop(step, keys, values), inputs["prompt"][0]
        sampler = Sampler(Sampling(), np.random.default_rng(0), end_token, prompt.tolist())
        token = sampler.choose(logits[0]).token
        started = time.perf_counter()
        for spoken in range(count - 1):
            token = sampler.choose(loop.read(token, len(prompt) + spoken)).token
        return (count - 1) / (time.perf_counter() - started)

    rate(WARM_UP_STEPS)
    return statistics.median(rate(steps) for _ in range(REPEATS))


@torch.no_grad()
def real_time_factor(decode: Callable[[], object], seconds: float) -> float:
    """Median computing time per second of speech."""
    decode()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        decode()
        times.append(time.perf_counter() - started)
    return statistics.median(times) / seconds


@torch.no_grad()
def prefill_difference(s1: TextToSemantic, prefill: Session, inputs: Mapping[str, Tensor]) -> float:
    """Largest difference of the logits and of the cache."""
    return largest_difference(s1.prefill(**inputs), prefill.run(arrays(inputs)))


@torch.no_grad()
def step_difference(s1: TextToSemantic, step: Session, inputs: Mapping[str, Tensor]) -> float:
    """Largest difference of the logits and of the new cache entries after one token."""
    _, keys, values = s1.prefill(**inputs)
    filled = keys.shape[3]
    one = {
        "token": torch.tensor([[7]]),
        "position": torch.tensor([inputs["prompt"].shape[1]]),
        # room behind, as in a server
        "keys": functional.pad(keys, (0, 0, 0, 256 - filled % 256)),
        "values": functional.pad(values, (0, 0, 0, 256 - filled % 256)),
        "length": torch.tensor([filled]),
    }
    return largest_difference(s1.step(**one), step.run(arrays(one)))


@torch.no_grad()
def decode_difference(s2: Synthesizer, decode: Session, inputs: Mapping[str, Tensor]) -> float:
    """Largest difference of the samples, whose scale is one."""
    wav = s2.decode(*inputs.values())  # in the order of the graph's inputs
    return largest_difference((wav[:, 0],), decode.run(arrays(inputs)))


def largest_difference(ours: tuple[Tensor, ...], theirs: list[Array]) -> float:
    """Over all outputs, each relative to its own largest value."""
    pairs = zip((one.cpu().numpy() for one in ours), theirs, strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)) for a, b in pairs)


def same_greedy_tokens(
    prefill: Session, steps: tuple[Session, Session], inputs: Mapping[str, Array], count: int, end_token: int
) -> int:
    """How many greedy tokens two step graphs have in common before they part, at most `count`."""
    logits, keys, values = prefill.run(inputs)
    prompt = inputs["prompt"][0]
    loops = [StepLoop(step, keys, values) for step in steps]
    samplers = [Sampler(Sampling(top_k=1), np.random.default_rng(0), end_token, prompt.tolist()) for _ in steps]
    answers = [logits[0], logits[0]]
    for spoken in range(count):
        first, second = (sampler.choose(answer) for sampler, answer in zip(samplers, answers, strict=True))
        if first != second:
            return spoken
        if first.stop:
            return count
        answers = [loop.read(first.token, len(prompt) + spoken).copy() for loop in loops]
    return count


def arrays(inputs: Mapping[str, Tensor]) -> dict[str, Array]:
    """Tensors as NumPy sees them."""
    return {name: tensor.numpy() for name, tensor in inputs.items()}
