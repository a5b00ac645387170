"""The measurements themselves: interleaved speeds, and how far a graph is from its network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bench.sessions import Array, Session
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.synthesis.generation import GenerationRequest, generate_tokens
from sovits_core.synthesis.sampling import Sampler, Sampling

REPEATS = 3
WARM_UP_STEPS = 20


class Decoder(Protocol):
    """Makes samples."""

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Return samples (1, n) for the inputs of a decode graph."""


class Loop(Protocol):
    """Reads one token after another."""

    def read(self, token: int, position: int) -> Array:
        """Return the logits (vocabulary) after a token at a place among the audio tokens."""


def interleaved(tasks: Mapping[str, Callable[[], float]], repeats: int = REPEATS) -> dict[str, list[float]]:
    """Run all tasks in turn, several times: what else happens on the machine meets them alike."""
    rounds = [{name: task() for name, task in tasks.items()} for _ in range(repeats)]
    return {name: [done[name] for done in rounds] for name in tasks}


def summary(figures: Mapping[str, list[float]], reference: str, digits: int) -> dict[str, dict[str, float]]:
    """The median of each, and of its ratio to a reference in the same round."""
    return {
        name: {
            "median": round(statistics.median(values), digits),
            "times": round(statistics.median(a / b for a, b in zip(values, figures[reference], strict=True)), 2),
        }
        for name, values in figures.items()
    }


def torch_tokens_per_second(s1: TextToSemantic, inputs: Mapping[str, Tensor], steps: int) -> float:
    """Rate of tokens after the first, which waits for the prefill."""
    utterance = GenerationRequest(
        inputs["phones"][0], inputs["prompt"][0], inputs["bert"][0], Sampling(), max_tokens=steps
    )
    stream = generate_tokens(s1, [utterance])
    next(stream)
    started = time.perf_counter()
    spoken = sum(1 for _ in stream)  # every choice reads the logits, so a device has finished its work by then
    return spoken / (time.perf_counter() - started)


def loop_tokens_per_second(loop: Loop, logits: Array, prompt: Array, end_token: int, steps: int) -> float:
    """As `torch_tokens_per_second`, of a loop behind a prefill's logits (vocabulary) of a prompt (tokens)."""
    sampler = Sampler(Sampling(), np.random.default_rng(0), end_token, prompt.tolist())
    token = sampler.choose(logits).token
    started = time.perf_counter()
    for spoken in range(steps - 1):
        token = sampler.choose(loop.read(token, len(prompt) + spoken)).token
    return (steps - 1) / (time.perf_counter() - started)


@torch.no_grad()
def real_time_factor(decode: Callable[[], object], seconds: float) -> float:
    """Computing time per second of speech."""
    started = time.perf_counter()
    decode()
    return (time.perf_counter() - started) / seconds


@torch.no_grad()
def prefill_difference(s1: TextToSemantic, prefill: Session, inputs: Mapping[str, Tensor]) -> float:
    """Largest difference of the logits and of the cache."""
    return largest_difference(s1.prefill(**inputs), prefill.run(arrays(inputs)))


@torch.no_grad()
def step_difference(
    s1: TextToSemantic, start: Callable[[Array, Array, int], Loop], inputs: Mapping[str, Tensor], steps: int = 3
) -> float:
    """Largest difference of the logits after each of a few tokens, of a loop that starts at keys, values and room."""
    _, keys, values = s1.prefill(**inputs)
    loop, prompt, largest = start(keys.numpy(), values.numpy(), steps), inputs["prompt"].shape[1], 0.0
    for step in range(steps):
        token = torch.tensor([[7 + step]])
        length = torch.tensor([keys.shape[3]])
        room = (0, 0, 0, 1)
        logits, new_keys, new_values = s1.step(
            token, torch.tensor([prompt + step]), functional.pad(keys, room), functional.pad(values, room), length
        )
        keys, values = torch.cat([keys, new_keys], dim=3), torch.cat([values, new_values], dim=3)
        largest = max(largest, largest_difference((logits[0],), [loop.read(7 + step, prompt + step)]))
    return largest


@torch.no_grad()
def decode_difference(s2: Synthesizer, decode: Decoder, inputs: Mapping[str, Tensor]) -> float:
    """Largest difference of the samples, whose scale is one."""
    wav = s2.decode(*inputs.values())  # in the order of the graph's inputs
    return largest_difference((wav.reshape(-1),), [decode.run(arrays(inputs))[0].reshape(-1)])


def largest_difference(ours: tuple[Tensor, ...], theirs: list[Array]) -> float:
    """Over all outputs, each relative to its own largest value."""
    pairs = zip((one.cpu().numpy() for one in ours), theirs, strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12)) for a, b in pairs)


@dataclass(frozen=True)
class Agreement:
    """Of two steps' greedy choices, where both read the first one's tokens."""

    choices: int
    same: int
    before: int
    """Choices that are the same before the first that is not."""


def greedy_agreement(
    loops: tuple[Loop, Loop], logits: Array, prompt: Array, choice: tuple[Sampling, int], count: int
) -> Agreement:
    """Compare two loops behind the same prefill, on at most `count` tokens.

    `choice`: how the base chooses tokens, of which the likeliest is taken here, and its end token.
    """
    sampling, end_token = replace(choice[0], top_k=1), choice[1]
    sampler = Sampler(sampling, np.random.default_rng(0), end_token, prompt.tolist())
    answers = (logits, logits)
    same: list[bool] = []
    while len(same) < count:
        second = deepcopy(sampler).choose(answers[1])
        first = sampler.choose(answers[0])
        same.append(first == second)
        if first.stop:
            break
        place = len(prompt) + len(same) - 1
        answers = (loops[0].read(first.token, place).copy(), loops[1].read(first.token, place).copy())
    return Agreement(len(same), sum(same), same.index(False) if False in same else len(same))


def arrays(inputs: Mapping[str, Tensor]) -> dict[str, Array]:
    """Tensors as NumPy sees them."""
    return {name: tensor.numpy() for name, tensor in inputs.items()}
