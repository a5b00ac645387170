"""Latents and samples in two graphs are those of one, whatever stretch is asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.sovits_core.serving.test_generator import inputs_of

from sovits_core.bundle.base import open_base
from sovits_core.errors import BaseRejected
from sovits_core.export import export_graphs
from sovits_core.formats.adapters import GROUPS
from sovits_core.models.networks import Networks
from sovits_core.serving.decoder import DecoderSession, split_decoder
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.sessions import open_session

TINY = open_base("embedded:tiny")
TOKENS = 60


class Both:
    """A stored graph, and the two that it is split into."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path, load_external_data=False)
        drop_nan_guards(model)
        inputs = inputs_of(model, TOKENS)
        self.whole: np.ndarray = open_session(model, path.parent, 1).run(None, inputs)[0].reshape(-1)
        self._graphs, self._folder = split_decoder(model), path.parent
        self.latents = self.session(self._graphs.margin).latents(inputs)
        self.hop = self.whole.size // self.latents.shape[2]

    def session(self, margin: int) -> DecoderSession:
        return DecoderSession(replace(self._graphs, margin=margin), self._folder, 1)

    def difference(self, first: int, last: int, margin: int | None = None) -> float:
        """Of the samples of some frames from those of the whole."""
        session = self.session(self._graphs.margin if margin is None else margin)
        ours, whole = session.wave(self.latents, first, last), self.whole[first * self.hop : last * self.hop]
        assert ours.shape == whole.shape
        return float(np.abs(ours - whole).max())


@pytest.fixture(scope="module", params=["frozen", "exported today"])
def both(request: pytest.FixtureRequest, small_networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Both:
    if request.param == "frozen":
        return Both(TINY.path(TINY.document.graphs["s2_decode"].file))
    folder = tmp_path_factory.mktemp("exported")
    return Both(
        folder / export_graphs(small_networks, folder, tuple(GROUPS), graphs=("s2_decode",))["s2_decode"]["file"]
    )


@pytest.mark.parametrize(("first", "last"), [(0, 120), (0, 20), (37, 64), (50, 51), (100, 120)])
def test_every_stretch_sounds_as_in_the_whole(both: Both, first: int, last: int) -> None:
    assert np.abs(both.whole).max() > 0.01
    assert both.difference(first, last) <= 2e-6


def test_a_stretch_alone_sounds_otherwise(both: Both) -> None:
    assert both.difference(50, 60, margin=0) > 1e-4


def test_a_graph_without_a_generator_is_refused() -> None:
    prefill = onnx.load(TINY.path(TINY.document.graphs["s1_prefill"].file), load_external_data=False)
    with pytest.raises(BaseRejected, match="export the base again"):
        split_decoder(prefill)
