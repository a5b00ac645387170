"""A voice is loaded only if every byte is what was promised and every tensor is one that the base takes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from sovits_core.text.symbols import symbols
from voice_inference.bundles.base import Base
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.engine.engine import sentences_of
from voice_inference.errors import DigestMismatch, FetchFailed, InvalidBase, InvalidDocument, InvalidVoice, LoadError

MIB = 1 << 20
Damage = Callable[[Any], None]  # changes a bundle before it is written and sealed again
EVIL = "sha256:" + "e" * 64
FILES = ["adapter_config.json", "adapter_model.safetensors", "prompt.safetensors", "voice.json"]


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "cache", threads=1)


def test_a_sound_bundle_is_loaded_with_all_its_parts(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle(rank=3)
    voice = loader.load_voice(bundle.seal(), base)
    adapters = voice.adapters()
    assert voice.language == "en"
    assert voice.prompt.tokens.tolist() == bundle.prompt["codes"].tolist()
    assert voice.prompt.speaker_embedding.shape == (1, base.decode.shapes["ge"][1], 1)
    for graph, adapter in zip(
        (base.prefill, base.step, base.decode), (adapters.prefill, adapters.step, adapters.decode), strict=True
    ):
        assert adapter.keys() == {lora.name for lora in graph.lora}
        for lora in graph.lora:
            stacked = np.stack([bundle.adapter[key] for key in lora.keys]).astype(np.float32)
            assert np.array_equal(adapter[lora.name], stacked)


def test_the_graphs_share_the_tensors_that_they_have_in_common(make_bundle: Any, loader: Loader, base: Base) -> None:
    adapters = loader.load_voice(make_bundle().seal(), base).adapters()
    shared = adapters.prefill.keys() & adapters.step.keys()
    assert shared
    assert all(adapters.prefill[name] is adapters.step[name] for name in shared)


@pytest.mark.parametrize("rank", [1, 2])
def test_the_third_axis_of_a_convolution_is_dropped_and_a_rank_of_one_is_not(
    make_bundle: Any, loader: Loader, base: Base, rank: int
) -> None:
    bundle = make_bundle(rank=rank)
    plain = loader.load_voice(bundle.seal(), base)
    bundle.adapter = {key: tensor[..., None] for key, tensor in bundle.adapter.items()}
    bundle.write()
    convolution = loader.load_voice(bundle.seal(), base)
    for name, stacked in plain.adapters().decode.items():
        assert np.array_equal(stacked, convolution.adapters().decode[name])


def test_only_the_files_that_the_server_needs_are_fetched(
    make_bundle: Any, loader: Loader, base: Base, tmp_path: Path
) -> None:
    reference = make_bundle().seal()
    loader.load_voice(reference, base)
    (cached,) = (tmp_path / "cache" / "voices").iterdir()
    assert cached.name == reference.digest.removeprefix("sha256:")
    assert sorted(path.name for path in cached.iterdir()) == sorted([*FILES, "manifest.json"])


def test_a_cached_bundle_needs_no_store_and_a_damaged_one_is_fetched_again(
    make_bundle: Any, loader: Loader, base: Base, tmp_path: Path
) -> None:
    bundle = make_bundle()
    reference = bundle.seal()
    loader.load_voice(reference, base)
    bundle.folder.rename(tmp_path / "away")
    assert loader.load_voice(reference, base).reference == reference
    (cached,) = (tmp_path / "cache" / "voices").iterdir()
    (cached / "adapter_model.safetensors").write_bytes(b"rotten")
    with pytest.raises(FetchFailed, match="there is no such object"):
        loader.load_voice(reference, base)
    (tmp_path / "away").rename(bundle.folder)
    assert loader.load_voice(reference, base).reference == reference


def test_cached_voices_that_are_not_wanted_are_removed(
    make_bundle: Any, loader: Loader, base: Base, tmp_path: Path
) -> None:
    kept, gone = make_bundle("studio/alice").seal(), make_bundle("studio/bob").seal()
    for reference in (kept, gone):
        loader.load_voice(reference, base)
    loader.prune({kept.digest})
    assert [path.name for path in (tmp_path / "cache" / "voices").iterdir()] == [kept.digest.removeprefix("sha256:")]


def test_a_voice_writes_dates_as_its_bundle_says(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    assert loader.load_voice(bundle.seal(), base).locale == ""
    bundle.voice["locale"] = "en-GB"
    bundle.write()
    assert loader.load_voice(bundle.seal(), base).locale == "en-GB"


def changed(**changes: Any) -> Damage:
    return lambda bundle: bundle.voice.update(changes)


def configured(**changes: Any) -> Damage:
    return lambda bundle: bundle.config.update(changes)


def prompted(**changes: Any) -> Damage:
    return lambda bundle: bundle.prompt.update(changes)


def first_key(bundle: Any) -> str:
    return min(bundle.adapter)


def reshaped(bundle: Any) -> None:
    bundle.adapter[first_key(bundle)] = bundle.adapter[first_key(bundle)].T.copy()


def unequal_ranks(bundle: Any) -> None:
    bundle.adapter[first_key(bundle)] = np.concatenate([bundle.adapter[first_key(bundle)]] * 2)


def not_a_number(bundle: Any) -> None:
    bundle.adapter[first_key(bundle)].flat[0] = np.nan


def whole_numbers(bundle: Any) -> None:
    bundle.adapter[first_key(bundle)] = bundle.adapter[first_key(bundle)].astype(np.int32)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        pytest.param(
            changed(base={"name": "b", "digest": EVIL}), InvalidVoice, "trained on the base", id="another base"
        ),
        pytest.param(changed(symbolsSha256="0" * 64), InvalidVoice, "symbol table", id="another symbol table"),
        pytest.param(changed(sampleRate=1), InvalidVoice, "1 Hz", id="another sample rate"),
        pytest.param(changed(revision="bob-1"), InvalidVoice, "bob-1", id="another revision"),
        pytest.param(
            changed(voice={"namespace": "other", "name": "alice"}), InvalidVoice, "other/alice", id="another namespace"
        ),
        pytest.param(
            changed(voice={"namespace": "studio", "name": "bob"}), InvalidVoice, "studio/bob", id="another voice"
        ),
        pytest.param(changed(consent={"revoked": True}), InvalidVoice, "revoked", id="a consent that was revoked"),
        pytest.param(changed(schema="voice.sovits.dev/voice/v2"), InvalidDocument, "schema", id="a later schema"),
        pytest.param(changed(locale="en-UK"), InvalidDocument, "'en-UK' is not known", id="an unknown locale"),
        pytest.param(changed(adapter={"sha256": "", "rank": 0}), InvalidDocument, "adapter.rank", id="rank 0"),
        pytest.param(changed(adapter={"sha256": "", "rank": 4096}), InvalidDocument, "adapter.rank", id="rank 4096"),
        pytest.param(changed(adapter={"sha256": "", "rank": 3}), InvalidVoice, "rank=3", id="a rank that differs"),
        pytest.param(configured(lora_alpha=16), InvalidVoice, "lora_alpha", id="a scale that is not 1"),
        pytest.param(configured(use_rslora=True), InvalidVoice, "rslora", id="another kind of scale"),
        pytest.param(lambda b: b.adapter.pop(first_key(b)), InvalidVoice, "lacks 1 tensors", id="a missing tensor"),
        pytest.param(lambda b: b.adapter.update(x=np.ones(1)), InvalidVoice, "first x", id="an unknown tensor"),
        pytest.param(reshaped, InvalidVoice, "has the shape", id="a transposed tensor"),
        pytest.param(unequal_ranks, InvalidVoice, "has the shape", id="tensors of different ranks"),
        pytest.param(not_a_number, InvalidVoice, "not finite", id="a tensor with NaN"),
        pytest.param(whole_numbers, InvalidVoice, "int32", id="a tensor of whole numbers"),
        pytest.param(lambda b: b.prompt.pop("ge"), InvalidVoice, "needs ge", id="no speaker embedding"),
        pytest.param(prompted(ge=np.ones(3, np.float32)), InvalidVoice, "needs ge", id="a short speaker embedding"),
        pytest.param(
            prompted(codes=np.array([10**6])), InvalidVoice, "codes must lie", id="a token beyond the codebook"
        ),
        pytest.param(prompted(phones=np.array([-1])), InvalidVoice, "phones must lie", id="a negative phone"),
        pytest.param(prompted(phones=np.zeros(0, np.int64)), InvalidVoice, "needs phones", id="no phones"),
        pytest.param(prompted(codes=np.zeros(9000, np.int64)), InvalidVoice, "needs codes", id="an endless prompt"),
    ],
)
def test_a_sealed_bundle_that_does_not_fit_is_refused(
    make_bundle: Any, loader: Loader, base: Base, *, damage: Damage, error: type[LoadError], message: str
) -> None:
    bundle = make_bundle()
    damage(bundle)
    bundle.write()
    with pytest.raises(error, match=message):
        loader.load_voice(bundle.seal(), base)


def test_a_manifest_other_than_the_promised_one_is_refused(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    reference = bundle.seal()
    bundle.seal(bundle.manifest() | {"revision": "other"})
    with pytest.raises(DigestMismatch, match=reference.digest):
        loader.load_voice(reference, base)


def test_a_file_that_changed_after_the_manifest_is_refused(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    reference = bundle.seal()
    path = bundle.folder / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch, match=r"adapter_model\.safetensors"):
        loader.load_voice(reference, base)


def test_a_file_that_grew_is_not_read_to_its_end(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    reference = bundle.seal()
    with (bundle.folder / "prompt.safetensors").open("ab") as file:
        file.write(bytes(1000))
    with pytest.raises(InvalidDocument, match="larger than"):
        loader.load_voice(reference, base)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_needed(make_bundle: Any, loader: Loader, base: Base, name: str) -> None:
    bundle = make_bundle()
    reference = bundle.seal()
    (bundle.folder / name).unlink()
    with pytest.raises(FetchFailed, match=name):
        loader.load_voice(reference, base)
    with pytest.raises(InvalidDocument, match=f"{name} is not listed"):
        loader.load_voice(bundle.seal(), base)


@pytest.mark.parametrize("name", ["../voice.json", "/etc/passwd", "a//b", "a/../../b", "a\\b", "."])
def test_a_name_that_leaves_the_bundle_is_refused(make_bundle: Any, loader: Loader, base: Base, name: str) -> None:
    bundle = make_bundle()
    manifest = bundle.manifest()
    manifest["files"][name] = {"sha256": "0" * 64, "size": 1}
    with pytest.raises(InvalidDocument, match="files"):
        loader.load_voice(bundle.seal(manifest), base)


def test_a_bundle_that_is_too_large_is_refused_before_it_is_fetched(
    make_bundle: Any, loader: Loader, base: Base, tmp_path: Path
) -> None:
    bundle = make_bundle()
    manifest = bundle.manifest()
    manifest["files"]["adapter_model.safetensors"]["size"] = 10**12
    with pytest.raises(InvalidDocument, match="at most"):
        loader.load_voice(bundle.seal(manifest), base)
    assert not list((tmp_path / "cache" / "voices").iterdir())


def test_an_endless_manifest_is_not_read(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    reference = bundle.seal(bundle.manifest() | {"padding": "x" * MIB})
    with pytest.raises(InvalidDocument, match=f"larger than the {MIB} bytes"):
        loader.load_voice(reference, base)


def filled(name: str, content: bytes) -> Damage:
    return lambda bundle: (bundle.folder / name).write_bytes(content)


def header(size: int) -> bytes:
    """A safetensors file with a header of so many bytes."""
    return size.to_bytes(8, "little") + b"{" + b" " * (size - 2) + b"}"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            filled("voice.json", b" " * (MIB + 1)),
            f"voice.json has {MIB + 1} bytes, at most {MIB} are",
            id="voice.json",
        ),
        pytest.param(
            filled("adapter_config.json", bytes(MIB + 1)),
            "adapter_config.json has .* at most",
            id="adapter_config.json",
        ),
        pytest.param(
            filled("prompt.safetensors", bytes(8 * MIB + 1)), "prompt.safetensors has .* at most", id="prompt"
        ),
        pytest.param(filled("adapter_model.safetensors", bytes(3 * MIB)), "at most 2097152 are", id="adapter"),
        pytest.param(
            filled("voice.json", b"[" + b"[]," * 20_000 + b"[]]"), "more than 10000 objects", id="lists in voice.json"
        ),
        pytest.param(filled("voice.json", b"[" * 9_000), "voice.json: ", id="deep lists in voice.json"),
        pytest.param(
            filled("prompt.safetensors", header(2 * MIB + 1)),
            "header of 2097153 bytes, at most",
            id="an endless header",
        ),
    ],
)
def test_a_bundle_with_an_oversized_file_is_refused_before_it_is_parsed(
    make_bundle: Any, base: Base, tmp_path: Path, damage: Damage, message: str
) -> None:
    loader = Loader(tmp_path / "cache", threads=1, adapter_limit=2 * MIB)
    bundle = make_bundle()
    damage(bundle)
    with pytest.raises((InvalidDocument, InvalidVoice), match=message):
        loader.load_voice(bundle.seal(), base)


def test_a_manifest_of_more_lists_than_files_is_refused(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    with pytest.raises(InvalidDocument, match=r"manifest\.json has too many objects"):
        loader.load_voice(bundle.seal(bundle.manifest() | {"more": [[]] * 20_000}), base)


MEASURE = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.errors import LoadError

given = json.load(sys.stdin)
loader = Loader(Path(given["cache"]), threads=1)
base = loader.load_base(BaseReference(**given["base"]))
loader.load_voice(VoiceReference(**given["sound"]), base)

def load(reference):
    try:
        loader.load_voice(VoiceReference(**reference), base)
    except LoadError as error:
        return str(error)

def peak():  # not ru_maxrss, which begins with that of the process that started this one
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

before = peak()
with ThreadPoolExecutor(len(given["hostile"])) as pool:
    errors = list(pool.map(load, given["hostile"]))
print(json.dumps({"growth": peak() - before, "errors": errors}))
"""


def test_four_hostile_bundles_at_once_cost_little(make_bundle: Any, base: Base, tmp_path: Path) -> None:
    """One that is as large as it may be everywhere used to take 1.6 GiB by itself."""
    hostile = []
    for number in range(4):
        bundle = make_bundle(f"studio/hostile{number}", rank=128)
        padding = "1," * (MIB // 4)
        (bundle.folder / "voice.json").write_text(f'{{"x": [{padding}1], {json.dumps(bundle.voice)[1:]}')
        (bundle.folder / "adapter_config.json").write_text(f'{{"x": [{padding}1], {json.dumps(bundle.config)[1:]}')
        not_a_number(bundle)
        filler = np.zeros(7 * MIB, np.uint8)
        save_file(bundle.prompt | {"filler": filler}, bundle.folder / "prompt.safetensors")
        save_file(bundle.adapter, bundle.folder / "adapter_model.safetensors")
        hostile.append(bundle.seal().model_dump())
    given = {
        "cache": str(tmp_path / "other"),
        "base": base.reference.model_dump(),
        "sound": make_bundle().seal().model_dump(),
        "hostile": hostile,
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert all("not finite" in error for error in found["errors"])
    assert found["growth"] < 200 * MIB


def test_a_later_manifest_schema_is_refused(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    manifest = bundle.manifest() | {"schema": "voice.sovits.dev/voice-bundle/v2"}
    with pytest.raises(InvalidDocument, match="voice-bundle/v2"):
        loader.load_voice(bundle.seal(manifest), base)


def test_a_file_that_only_calls_itself_safetensors_is_refused(make_bundle: Any, loader: Loader, base: Base) -> None:
    bundle = make_bundle()
    (bundle.folder / "adapter_model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(InvalidVoice, match="no safetensors file"):
        loader.load_voice(bundle.seal(), base)


def test_a_store_that_nobody_knows_is_refused(loader: Loader, base: Base) -> None:
    reference = VoiceReference(id="a/b", revision="b-1", uri="ftp://voices/b", digest=EVIL)
    with pytest.raises(FetchFailed, match="ftp://voices/b"):
        loader.load_voice(reference, base)


# The base, fetched from a store into the cache


def test_a_base_is_fetched_with_the_files_that_the_server_needs(
    stored_base: Any, loader: Loader, base: Base, tmp_path: Path
) -> None:
    fetched = loader.load_base(stored_base.reference)
    assert (fetched.digest, fetched.adapter_keys) == (base.digest, base.adapter_keys)
    assert fetched.prefill.path.is_relative_to(tmp_path / "cache" / "bases")


def test_mandarin_is_read_with_the_polyphones_of_the_base(
    stored_base: Any, loader: Loader, make_bundle: Any, base: Base, g2pw_model: Path
) -> None:
    shutil.copytree(g2pw_model, stored_base.folder / "g2pw")
    reading = loader.load_base(stored_base.change(languages=["en", "zh"]))
    voice = loader.load_voice(make_bundle().seal(), base)
    (sentence,) = sentences_of("第三行很好。", "zh", replace(voice, base=reading))
    assert " ".join(symbols("v2")[number] for number in sentence.phones) == "d i4 s an1 h ang2 h en2 h ao3 ."


def test_a_polyphone_network_that_is_damaged_or_another_one_is_refused(
    stored_base: Any, loader: Loader, base: Base, g2pw_model: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(g2pw_model, stored_base.folder / "g2pw"))
    shutil.copyfile(base.decode.path, other / "g2pW.onnx")
    for path in base.decode.path.parent.glob("*.weights"):
        shutil.copyfile(path, other / path.name)
    reference = stored_base.change()
    with pytest.raises(InvalidBase, match=r"g2pw/g2pW\.onnx takes .*, but a g2pW network takes"):
        loader.load_base(reference)
    (other / "vocab.txt").write_text("a")
    loader.prune(set())
    with pytest.raises(DigestMismatch, match=r"g2pw/vocab\.txt"):
        loader.load_base(reference)


def test_a_damaged_graph_is_refused(stored_base: Any, loader: Loader) -> None:
    weights = next((stored_base.folder / "onnx").glob("*.weights"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(DigestMismatch, match="weights"):
        loader.load_base(stored_base.reference)


def test_a_base_without_a_graph_is_refused(stored_base: Any, loader: Loader) -> None:
    graphs = json.loads((stored_base.folder / "base.json").read_text())["graphs"]
    del graphs["s2_decode"]
    reference = stored_base.change(graphs=graphs)
    with pytest.raises(InvalidBase, match="no graph s2_decode"):
        loader.load_base(reference)


def test_a_step_that_lacks_a_weight_is_refused_with_its_name(stored_base: Any, loader: Loader) -> None:
    path = stored_base.folder / "onnx" / "s1_step.onnx"
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = name.replace("layers.3.feed_forward.up.weight", "layers.3.other")
    onnx.save(model, path)
    with pytest.raises(InvalidBase, match=r"no weight body\.s1\.layers\.3\.feed_forward\.up\.weight"):
        loader.load_base(stored_base.change())


def test_a_file_that_is_no_graph_is_refused(stored_base: Any, loader: Loader) -> None:
    (stored_base.folder / "onnx" / "s2_decode.onnx").write_bytes(b"\xff" * 64)
    with pytest.raises(InvalidBase, match=r"s2_decode\.onnx is no ONNX graph"):
        loader.load_base(stored_base.change())


def test_an_embedded_base_that_is_not_there_is_refused(loader: Loader) -> None:
    with pytest.raises(InvalidBase, match="embedded base 'huge'"):
        loader.load_base(BaseReference(name="huge", uri="embedded:huge"))
