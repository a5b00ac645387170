"""Layers whose adapter is not a weight but an input of the traced graph."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.errors import AdapterRejected
from sovits_core.formats.adapters import adapter_key


class Slot(nn.Module):
    """A frozen layer and the place where the current A and B are put before each call."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.matrices: tuple[Tensor, Tensor] | None = None

    def taken(self) -> tuple[Tensor, Tensor]:
        """The matrices put in: A (rank, inputs[, kernel]) and B (outputs, rank)."""
        assert self.matrices is not None  # noqa: S101  (Group.fill comes first)
        return self.matrices


class LinearSlot(Slot):
    """For a linear layer."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., inputs) -> (..., outputs)."""
        a, b = self.taken()
        if x.ndim == 2:
            return torch.addmm(self.layer(x), x @ a.T, b.T)  # one node less in the graph of a step
        result: Tensor = self.layer(x) + (x @ a.T) @ b.T
        return result


class ConvolutionSlot(Slot):
    """For a convolution over time without stride and padding."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs, time) -> (batch, outputs, time - kernel + 1)."""
        a, b = self.taken()
        adapted = functional.conv1d(x, a) if a.ndim == 3 else a @ x  # (batch, rank, time - kernel + 1)
        result: Tensor = self.layer(x) + b @ adapted
        return result


def slot_for(layer: nn.Module, name: str) -> Slot:
    """The kind of slot that a layer needs.

    Raises:
        AdapterRejected: no kind fits.
    """
    if isinstance(layer, nn.Linear):
        return LinearSlot(layer)
    if isinstance(layer, nn.Conv1d) and layer.stride == (1,) and layer.padding == (0,) and layer.groups == 1:
        return ConvolutionSlot(layer)
    raise AdapterRejected(f"{name} cannot take an adapter in a graph: it is neither linear nor a plain convolution")


@dataclass(frozen=True)
class Group:
    """The slots that share one pair of graph inputs, in the order of the inputs' first axis."""

    name: str
    modules: tuple[str, ...]
    slots: tuple[Slot, ...]

    def fill(self, a: Tensor, b: Tensor) -> None:
        """a: (slots, rank, inputs[, kernel]), b: (slots, outputs, rank)."""
        for index, slot in enumerate(self.slots):
            slot.matrices = (a[index], b[index])

    def inputs(self) -> list[dict[str, object]]:
        """The entries of base.json, in the order of the graph's inputs."""
        matrices: tuple[Literal["A", "B"], ...] = ("A", "B")
        return [
            {
                "name": f"lora_{self.name}_{matrix.lower()}",
                "keys": [adapter_key(module, matrix) for module in self.modules],
            }
            for matrix in matrices
        ]

    def examples(self, rank: int) -> tuple[Tensor, Tensor]:
        """Zeros in the shapes of the inputs."""
        weight = self.slots[0].layer.weight
        assert isinstance(weight, Tensor)  # noqa: S101  (a layer's weight)
        outputs, inputs, *kernel = weight.shape
        wide = [size for size in kernel if size > 1]
        count = len(self.slots)
        return weight.new_zeros(count, rank, inputs, *wide), weight.new_zeros(count, outputs, rank)
