"""The benchmark at sizes that take no time; its figures are then those of toys, its document is the real one."""

import argparse
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch

from sovits_core.__main__ import main
from sovits_core.bench import machine, measure, report, run, samples
from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig
from sovits_core.commands import bench as command
from sovits_core.models import Synthesizer, TextToSemantic

TINY_S1 = TextToSemanticConfig(
    phonemes=9, vocabulary=17, bert_dim=8, hidden=128, heads=4, layers=2, feed_forward=128, dropout=0
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """A whole run over toys, as the command leaves it."""
    patch = pytest.MonkeyPatch()
    small = SynthesizerConfig.model_validate(
        samples.VERSIONS["v2"].model_dump() | {"upsample_channels": 32, "filter": 64, "flows": 1, "text_layers": 1}
    )
    with patch.context() as patched:
        patched.setattr(samples, "STEPS", 12)
        patched.setattr(samples, "CODES", 3)
        patched.setattr(samples, "VERSIONS", {"v1": small, "v2": small})
        patched.setattr(run, "TextToSemanticConfig", lambda: TINY_S1)
        patched.setattr(samples, "PROMPTS", (7, 9))
        patched.setattr(run, "GREEDY_PROMPTS", 2)
        patched.setattr(run, "TINY_PROMPTS", 2)
        patched.setattr(torch.cuda, "is_available", lambda: False)
        out = tmp_path_factory.mktemp("bench") / "deep" / "core.json"
        assert main(["bench", "--out", str(out), "--threads", "1"]) == 0
    ET.fromstring(out.with_suffix(".svg").read_text())  # noqa: S314 -- our own picture
    assert {path.name for path in out.parent.iterdir()} == {"core.json", "core.svg"}
    document: dict[str, dict] = json.loads(out.read_text())
    return document


def test_the_document_has_every_figure(document: dict[str, dict]) -> None:
    kinds = {"torch", "stored", "fp32", "int8", "int4"}
    speeds = document["s1_tokens_per_second"]
    assert {filled: set(found) for filled, found in speeds.items()} == {"67": kinds, "69": kinds}
    assert all(found["median"] > 0 and found["times"] > 0 for kinds in speeds.values() for found in kinds.values())
    rows = document["s1_rows_tokens_per_second"]
    assert rows.keys() == {"fp32", "int8", "int4"}
    assert all(list(found) == ["1", "2", "4", "8", "16"] for found in rows.values())
    assert all(found["1"]["times"] == 1 and found["16"]["median"] > 0 for found in rows.values())
    assert {version: set(factors) for version, factors in document["s2_rtf"].items()} == {
        "v2": {"torch", "stored", "served"}
    }
    assert document["max_difference"].keys() == {
        "s1_prefill", "s1_step_stored", "s1_step_fp32", "s1_step_int8", "s1_step_int4", "s2_decode_v1", "s2_decode_v2",
    }  # fmt: skip
    for weights, tokens in (("random", 25), ("tiny", 60)):
        same = document["same_greedy_tokens"][weights]
        assert same.keys() == {"int8", "int4"}
        for found in same.values():
            assert found["prompts"] == 2
            assert found["allTheSame"] <= 2
            assert 0 < found["sameChoices"] <= found["choices"] <= 2 * tokens
    assert document["machine"]["threads"] == 1
    assert document["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]


def test_graphs_are_close_to_their_networks_and_fewer_bits_less_so(document: dict[str, dict]) -> None:
    differences = dict(document["max_difference"])
    int4, int8 = differences.pop("s1_step_int4"), differences.pop("s1_step_int8")
    assert max(differences.values()) < 1e-4
    assert 1e-4 < int8 < 0.05
    assert int8 < int4 < 1


def test_a_ratio_is_that_of_the_same_round() -> None:
    rates = iter([10.0, 20.0, 5.0, 15.0, 10.0, 40.0])
    found = measure.interleaved({"slow": lambda: next(rates), "fast": lambda: next(rates)})
    assert found == {"slow": [10.0, 5.0, 10.0], "fast": [20.0, 15.0, 40.0]}
    assert measure.summary(found, "slow", digits=1)["fast"] == {"median": 20.0, "times": 3.0}


def test_the_table_names_every_figure_and_warns_of_a_busy_machine(document: dict[str, dict]) -> None:
    busy = document | {"machine": document["machine"] | {"loaded": True}}
    table = report.table(busy)
    assert "warning: the machine was busy" in table
    assert "warning" not in report.table(document | {"machine": document["machine"] | {"loaded": False}})
    for name in (
        "S1 int8, 67 positions",
        "S1 fp32, 8 rows",
        "S2 v2 served",
        "s2_decode_v1",
        "greedy tokens",
        "the tiny base",
        " x",
    ):
        assert name in table


def test_a_gpu_has_bars_of_its_own(document: dict[str, dict]) -> None:
    gpu = {"name": "A card", "s1_tokens_per_second": {"fp16": 150.0}, "s2_rtf": {"v2": {"fp16": 0.01}}}
    drawn = report.picture(document | {"gpu": gpu})
    assert "GPU S1 torch fp16" in drawn
    assert drawn.count("<rect") == report.picture(document).count("<rect") + 2


@pytest.mark.parametrize(("load", "loaded"), [(0.9, False), (1.1, True)])
def test_a_machine_is_busy_above_half_its_cores(monkeypatch: pytest.MonkeyPatch, load: float, loaded: bool) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert machine.describe(2)["loaded"] is loaded


@torch.no_grad()
def test_random_networks_speak_on_and_can_be_heard() -> None:
    s1 = samples.random_s1(TINY_S1)
    inputs = samples.s1_inputs(TINY_S1, 4, 3)
    assert measure.torch_tokens_per_second(s1, inputs, 40) > 0
    assert isinstance(s1, TextToSemantic)
    s2 = samples.random_s2(samples.VERSIONS["v2"].model_copy(update={"upsample_channels": 64}))
    assert isinstance(s2, Synthesizer)
    wav = s2.decode(*samples.s2_inputs(s2.config, 3, 4).values())
    assert 0.05 < wav.abs().max() < 0.999


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--threads", "0"], "--threads 0"), (["--out", "core.txt"], "name a .json file")],
)
def test_options_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["bench", *options]) == 64
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run", lambda *_: {"machine": {}})
    (tmp_path / "taken").write_text("")
    options = argparse.Namespace(out=tmp_path / "taken" / "core.json", threads=1)
    with pytest.raises(command.BenchError, match="cannot be written"):
        command.run(options)
