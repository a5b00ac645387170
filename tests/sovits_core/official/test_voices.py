"""Official files become a base, a voice on it becomes official files again, and nothing is lost on the way."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, HubertConfig, HubertModel

from sovits_core.__main__ import USAGE_ERROR, main
from sovits_core.bundle.base import BaseBundle, open_base
from sovits_core.features.recording import load_hubert
from sovits_core.features.text import bert_features, load_bert
from sovits_core.formats.adapters import attach_adapter, load_adapter, merge, save_adapter
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import (
    Discriminator,
    DiscriminatorConfig,
    Synthesizer,
    SynthesizerConfig,
    TextToSemantic,
    TextToSemanticConfig,
)
from sovits_core.models.networks import Networks
from sovits_core.official.files import read_official
from sovits_core.official.names import to_official
from sovits_core.official.settings import s1_settings, s2_settings
from sovits_core.official.weight_norm import join_weight_norm
from sovits_core.text.chinese.g2pw import FILES
from sovits_core.text.lexicon_file import read_lexicon

# The phoneme table and the vocabulary are official, the rest is small.
S1 = TextToSemanticConfig(bert_dim=8, hidden=32, heads=4, layers=2, feed_forward=128)


def load_networks(base: BaseBundle) -> Networks:
    networks = Networks(TextToSemantic(base.document.s1), Synthesizer(base.document.synthesizer)).eval()
    load_weights(networks.s1, base.path("s1.safetensors"))
    load_weights(networks.s2, base.path("s2g.safetensors"))
    return networks


def make_voice(base: BaseBundle, folder: Path) -> Path:
    """A bundle of what export-official reads, with an adapter that changes what it adapts."""
    model = attach_adapter(load_networks(base), rank=2, targets=("attention",), seed=0)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    save_adapter(model, folder)
    adapter = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    voice = {
        "schema": "voice.sovits.dev/voice/v1",
        "voice": {"namespace": "studio", "name": "alice", "uid": "1"},
        "revision": "alice-3fa9c2d1",
        "base": {"name": base.document.name, "digest": base.digest},
        "adapter": {"sha256": adapter, "rank": 2},
    }
    (folder / "voice.json").write_text(json.dumps(voice))
    return folder


def merged_weights(base: BaseBundle, voice: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    networks = merge(load_adapter(load_networks(base), voice))
    return to_official(networks.s1), to_official(networks.s2)


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for key, tensor in wanted.items():
        assert torch.allclose(found[key].float(), tensor.float(), rtol=tolerance, atol=tolerance * 1e-2), key


@pytest.fixture(scope="module")
def tiny_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voice(open_base("embedded:tiny"), tmp_path_factory.mktemp("voice"))


def test_a_voice_of_the_tiny_base_is_exported_merged(
    tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["export-official", "--voice", str(tiny_voice), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [str(out / "alice.ckpt"), str(out / "alice.pth")]
    assert "which the official program cannot load" in printed.err
    s1, s2 = merged_weights(open_base("embedded:tiny"), tiny_voice)
    ckpt, pth = read_official(out / "alice.ckpt"), read_official(out / "alice.pth")
    assert {tensor.dtype for tensor in (*ckpt.weights.values(), *pth.weights.values())} == {torch.float16}
    assert_same(dict(ckpt.weights), s1, 1e-3)
    spoken = {key: tensor for key, tensor in s2.items() if not key.startswith("enc_q.")}
    assert_same(join_weight_norm(pth.weights), spoken, 2e-3)
    assert "dec.ups.0.weight_g" in pth.weights
    assert (pth.info, pth.head, pth.config["model"]["version"]) == ("alice-3fa9c2d1", "PK", "v2")
    # a second time, the files are there already
    assert main(["export-official", "--voice", str(tiny_voice), "--out", str(out)]) == USAGE_ERROR
    assert "alice.ckpt exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {"name": "tiny", "digest": f"sha256:{'0' * 64}"}}, "was trained on base 'tiny' with sha256:000"),
        ({"adapter": {"sha256": "0" * 64}}, "is damaged: its SHA-256 is"),
        ({"voice": {"name": "../alice"}}, "voice.name: String should match"),
        ({"schema": "voice.sovits.dev/voice/v2"}, "is not valid: schema"),
        ({"base": {"name": "huge", "digest": f"sha256:{'0' * 64}"}}, "no embedded base 'huge'"),
    ],
)
def test_a_voice_that_is_not_what_it_says_is_refused_and_nothing_is_written(
    tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict, message: str
) -> None:
    bundle = tmp_path / "voice"
    bundle.mkdir()
    for path in tiny_voice.iterdir():
        (bundle / path.name).write_bytes(path.read_bytes())
    voice = json.loads((bundle / "voice.json").read_text())
    (bundle / "voice.json").write_text(json.dumps({**voice, **changes}))
    assert main(["export-official", "--voice", str(bundle), "--out", str(tmp_path / "out")]) == USAGE_ERROR
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_voice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-official", "--voice", str(tmp_path), "--out", str(tmp_path / "out")]) == USAGE_ERROR
    assert "is no voice bundle" in capsys.readouterr().err


@dataclass(frozen=True)
class Official:
    """Files as the official trainer leaves them, and their options."""

    folder: Path

    def arguments(self, out: Path, **options: Path) -> list[str]:
        named = {"s1": self.folder / "s1.ckpt", "s2g": self.folder / "s2g.pth", **options}
        files = [item for option, path in named.items() for item in (f"--{option}", str(path))]
        return ["import-base", *files, "--name", "ours", "--out", str(out)]


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Official:
    """Random float16 weights: a small S1, the S2 of v2 and its judges at full size, a small HuBERT with old names."""
    folder = tmp_path_factory.mktemp("official")
    torch.manual_seed(0)
    s1, s2 = TextToSemantic(S1), Synthesizer(SynthesizerConfig())
    for name, module, config in (
        ("s1.ckpt", s1, s1_settings(S1)),
        ("s2g.pth", s2, s2_settings(SynthesizerConfig(), "v2")),
        ("s2d.pth", Discriminator(DiscriminatorConfig()), {}),
    ):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        weights = {key: tensor.half() for key, tensor in to_official(module).items()}
        torch.save({"weight": weights, "config": config, "info": "pretrained"}, folder / name)
    torch.save({"weight": {"model.ar_text_embedding.word_embeddings.weight": torch.zeros(512, 4)}}, folder / "v1.ckpt")
    hubert = HubertModel(HubertConfig(num_hidden_layers=1, intermediate_size=32, conv_dim=(8,) * 7))
    old = {"0": "weight_g", "1": "weight_v"}
    state = hubert.state_dict()
    for number, name in old.items():
        prefix = "encoder.pos_conv_embed.conv."
        state[prefix + name] = state.pop(f"{prefix}parametrizations.weight.original{number}")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"你好,."]
    bert = BertConfig(vocab_size=len(tokens), hidden_size=8, num_hidden_layers=4, num_attention_heads=2)
    BertForMaskedLM(bert).save_pretrained(folder / "bert")
    (folder / "bert" / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (folder / "hubert").mkdir()
    torch.save(state, folder / "hubert" / "pytorch_model.bin")
    hubert.config.save_pretrained(folder / "hubert")
    return Official(folder)


@pytest.mark.slow
def test_a_base_and_a_voice_survive_the_way_there_and_back(
    official: Official, tmp_path: Path, g2pw_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"s2d": official.folder / "s2d.pth", "hubert": official.folder / "hubert"}
    words = tmp_path / "words.tsv"
    words.write_text("gif\tJH IH1 F\tcmu\n")
    more |= {"bert": official.folder / "bert", "g2pw": g2pw_model, "lexicon": words}
    assert main(official.arguments(tmp_path / "base", **more)) == 0
    base = open_base(str(tmp_path / "base"))
    assert capsys.readouterr().out.strip() == base.digest
    document = base.document
    assert (document.name, document.version, document.symbols, document.sample_rate) == ("ours", "v2", "v2", 32000)
    assert document.languages == ("zh", "en", "ja", "ko", "yue")
    assert set(document.sentences) == set(document.languages)
    assert document.readings == read_lexicon(words)
    assert set(document.graphs) >= {"s1_prefill", "s1_step", "s2_decode"}
    assert any(licence.licence == "MIT" and "RVC-Boss" in licence.attribution for licence in document.licences)
    for name in document.files:
        base.path(name)
    assert load_hubert(tmp_path / "base" / "hubert").config.hidden_size == 768
    session = onnxruntime.InferenceSession(base.path(document.graphs["bert"].file))
    (vectors,) = session.run(None, {"tokens": np.array([[2, 5, 6, 7, 3]])})
    expected = bert_features(load_bert(tmp_path / "base" / "bert"), "你好,", (1, 1, 1))
    assert np.abs(vectors[0] - expected.numpy()).max() < 1e-4
    assert {path.name for path in base.files_under("g2pw")} == set(FILES)
    assert any("g2pW" in licence.name for licence in document.licences)
    reading = ["--polyphones", str(tmp_path / "base" / "g2pw"), "--language", "zh", "--names"]
    assert main(["phones", *reading, "第三行很好。"]) == 0
    assert capsys.readouterr().out == "d i4 s an1 h ang2 h en2 h ao3 .\n"

    # the base holds what the official files hold, to the bit
    s1, s2 = (read_official(official.folder / name) for name in ("s1.ckpt", "s2g.pth"))
    networks = load_networks(base)
    assert_same(to_official(networks.s1), dict(s1.weights), 0)
    assert_same(to_official(networks.s2), dict(s2.weights), 0)

    # and a voice on it, exported, what they hold but for what the adapter changed
    voice = make_voice(base, tmp_path / "voice")
    out = tmp_path / "out"
    assert main(["export-official", "--voice", str(voice), "--base", base.folder.as_uri(), "--out", str(out)]) == 0
    pth = read_official(out / "alice.pth")
    merged_s1, merged_s2 = merged_weights(base, voice)
    assert_same(dict(read_official(out / "alice.ckpt").weights), merged_s1, 1e-3)
    assert pth.weights.keys() == {key for key in s2.weights if not key.startswith("enc_q.")}
    changed = {key for key, tensor in pth.weights.items() if not torch.equal(tensor, s2.weights[key])}
    assert changed
    assert all(key.startswith("enc_p.") and ".conv_" in key for key in changed)
    assert_same({key: pth.weights[key] for key in changed}, {key: merged_s2[key] for key in changed}, 1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"s1": "v1.ckpt"}, "v1.ckpt is an S1 of v1, but s2g.pth is of v2: their phoneme tables differ"),
        ({"s1": "s2g.pth"}, "s2g.pth is an S2 generator, but an S1 (text to semantic) checkpoint is wanted here"),
        ({"s2g": "s1.ckpt"}, "s1.ckpt is an S1 (text to semantic) checkpoint, but an S2 generator is wanted here"),
        ({"version": "v2Pro"}, "s2g.pth: its weights are those of v2, but v2Pro is wanted"),
        ({"sv": "s1.ckpt"}, "is of v2, which has no use for s1.ckpt: leave --sv out"),
        ({"g2pw": "hubert"}, "hubert/g2pW.onnx is missing: name the model's whole folder"),
        ({"hubert": "."}, "config.json cannot be read: name the folder of the model"),
        ({"s2d": "s2g.pth"}, "s2g.pth is an S2 generator, but an S2 discriminator is wanted here"),
        ({"s2g": "none.pth"}, "none.pth cannot be read: No such file or directory"),
    ],
)
def test_files_that_do_not_belong_together_are_refused_and_nothing_is_written(
    official: Official, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, str], message: str
) -> None:
    paths = {name: value if name == "version" else official.folder / value for name, value in options.items()}
    assert main(official.arguments(tmp_path / "base", **paths)) == USAGE_ERROR
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_fine_tuned_voice_is_no_base(official: Official, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = read_official(official.folder / "s2g.pth").weights
    tuned = tmp_path / "tuned.pth"
    torch.save({"weight": {key: tensor for key, tensor in weights.items() if "enc_q" not in key}}, tuned)
    assert main(official.arguments(tmp_path / "base", s2g=tuned)) == USAGE_ERROR
    assert "has no posterior encoder (enc_q)" in capsys.readouterr().err
    assert not (tmp_path / "base").exists()


def test_a_folder_that_exists_is_left_alone(
    official: Official, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(official.arguments(tmp_path)) == USAGE_ERROR
    assert "exists already: name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
