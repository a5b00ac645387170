"""Weight norm: on while training from scratch, folded into plain weights for everything else."""

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

Convolution = TypeVar("Convolution", nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)


# Salimans and Kingma 2016, Weight Normalization, arXiv:1602.07868
def normed(convolution: Convolution) -> Convolution:
    """The same convolution with its weight split into length and direction (over all dimensions but the first)."""
    weight_norm(convolution)
    return convolution


def fold_weight_norm(module: nn.Module) -> None:
    """Turn every length and direction inside back into one plain weight; the outputs stay the same."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, "weight"):
            _fold(part)


def _fold(part: nn.Module) -> None:
    # Torch's own remover edits the class, which a deep copy shares with its original: it would break both.
    weight = part.weight
    assert isinstance(weight, Tensor)  # noqa: S101  (is_parametrized says so)
    plain_class = type(part).__bases__[0]
    del part.parametrizations
    part.__class__ = plain_class
    part.register_parameter("weight", nn.Parameter(weight.detach()))


def is_folded(module: nn.Module) -> bool:
    """Whether no weight inside is split."""
    return not any(parametrize.is_parametrized(part, "weight") for part in module.modules())
