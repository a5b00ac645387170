"""`python -m dev.watermark`: writes the watermark's networks as ONNX, from the weights in resemble-perth's wheel.

Their layout is that of https://github.com/resemble-ai/Perth (MIT): seven convolutions each, over levels below 2 kHz.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dev.errors import DevError
from dev.paths import REPOSITORY
from dev.terminal import main_of

WEIGHTS = Path("perth_net") / "pretrained" / "implicit" / "perth_net_250000.pth.tar"
BINS, BAND, HIDDEN = 1025, 128, 256  # all frequencies, those below 2 kHz, channels
QUIET = 0.05  # frames below this share of the loudest one carry no mark
TEMPOS = {"slow": 1.25, "normal": 1.0, "fast": 0.75}  # at which the decoder listens


class Marker(nn.Module):
    """Adds to the levels what the decoder finds."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = _layers(weights, "encoder.layers.", BAND)

    def forward(self, levels: Tensor) -> Tensor:
        """Return levels (1, BINS, frames) for levels of that shape."""
        band = levels[:, :BAND]
        return torch.cat([band + self.layers(band) * _loud(levels), levels[:, BAND:]], dim=1)


class Finder(nn.Module):
    """Says whether levels are marked, by three tempos of which each says how much it is to be believed."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_layers(weights, f"decoder.{name}_layers.", 2) for name in TEMPOS)

    def forward(self, levels: Tensor) -> Tensor:
        """Return (1,) for levels (1, BINS, frames)."""
        band, loud = levels[:, :BAND], _loud(levels)
        means = []
        for layers, tempo in zip(self.branches, TEMPOS.values(), strict=True):
            heard = functional.interpolate(band, scale_factor=tempo, mode="linear", align_corners=True)
            counted = functional.interpolate(loud, size=heard.shape[2:], mode="nearest")
            means.append((layers(heard) * counted).sum(dim=2) / counted.sum(dim=2))  # (1, 2): belief, mark
        belief, mark = torch.stack(means, dim=2).unbind(dim=1)  # (1, 3)
        return (mark * belief.softmax(dim=1)).sum(dim=1)


def _loud(levels: Tensor) -> Tensor:
    sums = levels.sum(dim=1, keepdim=True)  # (1, 1, frames)
    return (sums > QUIET * sums.amax(dim=2, keepdim=True)).float()


def _layers(weights: Mapping[str, Tensor], prefix: str, out: int) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv1d(BAND, HIDDEN, 1), nn.LeakyReLU()]
    for _ in range(5):
        parts += [nn.Conv1d(HIDDEN, HIDDEN, 7, padding=3), nn.LeakyReLU()]
    made = nn.Sequential(*parts, nn.Conv1d(HIDDEN, out, 1))
    theirs = [tensor for name, tensor in weights.items() if name.startswith(prefix)]
    made.load_state_dict(dict(zip(made.state_dict(), theirs, strict=True)))
    return made


def export(folder: Path) -> None:
    """Write both networks.

    Raises:
        DevError: the package with the weights is not installed.
    """
    package = importlib.util.find_spec("perth")
    if package is None or package.origin is None:
        raise DevError("resemble-perth is not installed", remedy="make setup")
    stored = torch.load(Path(package.origin).parent / WEIGHTS, map_location="cpu", weights_only=True)["model"]
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch's older exporter
        for name, network, result in (("encoder", Marker, "marked"), ("decoder", Finder, "score")):
            torch.onnx.export(
                network(stored).eval(),
                (torch.rand(1, BINS, 100),),
                str(folder / f"{name}.onnx"),
                input_names=["levels"],
                output_names=[result],
                dynamic_axes={"levels": {2: "frames"}, **({"marked": {2: "frames"}} if result == "marked" else {})},
                dynamo=False,
            )


def main() -> int:
    """Write the networks into a folder."""
    parser = argparse.ArgumentParser(prog="python -m dev.watermark", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "watermark")
    export(parser.parse_args().out)
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
