"""What trainer tests share: job documents and datasets that can be spoilt one thing at a time."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    GenerationConfig,
    HubertConfig,
    HubertModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from sovits_core.bundle.base import BaseDocument, HubertConfigDocument
from sovits_core.bundle.base import Gate as BaseGate
from sovits_core.bundle.model_config import SpeakerEncoderConfig, SynthesizerConfig, TextToSemanticConfig
from sovits_core.formats.checkpoints import save_weights
from sovits_core.models import SpeakerEncoder, Synthesizer, TextToSemantic
from sovits_core.text.symbols import symbols_sha256
from voice_trainer.job.results import digest_of
from voice_trainer.stages import prepare as stages_prepare

INPUT_HASH = "3fa9c2d1" + "0" * 56


@pytest.fixture(scope="session", autouse=True)
def finished_clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of finished clips for all tests: each recording is measured once, not once in each test."""
    folder = tmp_path_factory.mktemp("finished-clips")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages_prepare, "finished_clips", lambda _: folder)
        yield folder


def a_job(folder: Path, base: Path) -> dict[str, Any]:
    """A job whose stores are folders; training is as short as it can be."""
    return {
        "schema": "voice.sovits.dev/job/v1",
        "voice": {"namespace": "studio", "name": "alice", "uid": "1"},
        "revision": "alice-3fa9c2d1",
        "inputHash": INPUT_HASH,
        "language": "en",
        "dataset": {"uri": (folder / "dataset").as_uri(), "digest": ""},
        "consent": {"holder": "Alice A.", "statement": "I agree.", "expires": "2999-01-01", "revoked": False},
        "source": {"repository": "", "commit": "3f2a", "author": ""},
        "base": {"name": "random", "uri": base.as_uri(), "digest": ""},
        "training": {
            "rank": 2,
            "targets": ["attention"],
            "epochs": 1,
            "batchSize": 4,
            "learningRate": "2e-4",
            "seed": 1,
        },
        "evaluation": {"texts": ["Good morning."], "gates": None},
        "store": {
            "workspace": (folder / "store/studio/alice" / INPUT_HASH).as_uri(),
            "revision": (folder / "store/studio/alice/revisions/alice-3fa9c2d1").as_uri(),
        },
        "compute": {"device": "cpu"},
        "attempt": {"number": 1, "batchSizeDivisor": 1},
        "operator": {"version": "0.1.0"},
    }


@pytest.fixture
def job_document(tmp_path: Path, random_base: Path) -> dict[str, Any]:
    """The job of one test, to be changed before it is written."""
    return a_job(tmp_path, random_base)


@pytest.fixture(scope="session")
def session_job(tmp_path_factory: pytest.TempPathFactory, random_base: Path) -> dict[str, Any]:
    """The same job for what is made once in a session."""
    return a_job(tmp_path_factory.mktemp("session-job"), random_base)


@pytest.fixture
def write_job(tmp_path: Path, job_document: dict[str, Any]) -> Callable[[], Path]:
    """Write the job document as it is now and return its path."""

    def write() -> Path:
        path = tmp_path / "job.json"
        path.write_text(json.dumps(job_document))
        return path

    return write


@pytest.fixture
def dataset(tmp_path: Path, spoken_dataset: Path) -> Path:
    """A copy of the spoken dataset that a test may spoil."""
    return Path(shutil.copytree(spoken_dataset, tmp_path / "dataset"))


@pytest.fixture
def few_clips(dataset: Path) -> Path:
    """Four clips of the dataset: enough for every check of a single clip."""
    rows = (dataset / "metadata.csv").read_text().splitlines()
    for row in rows[4:]:
        (dataset / "wavs" / (row.split("|")[0] + ".wav")).unlink()
    (dataset / "metadata.csv").write_text("\n".join(rows[:4]) + "\n")
    return dataset


def make_base(folder: Path, *, pro: bool = False, g2pw: Path | None = None) -> Path:
    """A base of the real classes, as small as they get, with random weights: it runs everything and says nothing.

    A Pro base has a speaker encoder too, and here also a text encoder for Mandarin. With `g2pw` it reads polyphones.
    """
    torch.manual_seed(0)
    hubert = HubertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    HubertModel(hubert).save_pretrained(folder / "hubert")
    s1 = TextToSemanticConfig(vocabulary=33, bert_dim=8, hidden=32, heads=2, layers=1, feed_forward=32)
    speaker = SpeakerEncoderConfig(bands=8, channels=8, base_width=8, scale=2, expansion=1, blocks=(1, 1, 1, 1))
    s2 = SynthesizerConfig(
        codebook_size=32, ssl_dim=32, latent=16, hidden=16, filter=16, ssl_layers=1, text_layers=1,
        mixed_layers=1, cross_hidden=32, cross_heads=2, speaker_embedding=32, reference_bins=64,
        reference_hidden=16, posterior_layers=1, flows=1, flow_layers=1, upsample_channels=32,
        block_kernels=(3,), block_dilations=((1,),), segment_frames=8,
        speaker_vector=speaker.vector if pro else None,
    )  # fmt: skip
    save_weights(TextToSemantic(s1), folder / "s1.safetensors")
    save_weights(Synthesizer(s2), folder / "s2g.safetensors")
    if pro:
        (folder / "sv").mkdir()
        save_weights(SpeakerEncoder(speaker), folder / "sv" / "model.safetensors")
        characters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"。天今"]
        bert = BertConfig(
            vocab_size=len(characters), hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16
        )
        BertModel(bert).save_pretrained(folder / "bert")
        (folder / "bert" / "vocab.txt").write_text("\n".join(characters) + "\n", encoding="utf-8")
    if g2pw:
        shutil.copytree(g2pw, folder / "g2pw")
    files = {
        path.relative_to(folder).as_posix(): digest_of(path).model_dump()
        for path in folder.rglob("*")
        if path.is_file()
    }
    document = BaseDocument(
        name="random",
        version="v2Pro" if pro else "v2",
        sample_rate=32000,
        languages=("en", "zh") if pro else ("en",),
        symbols_sha256=symbols_sha256(),
        s1=s1,
        s2=s2,
        speaker=speaker if pro else None,
        hubert=HubertConfigDocument(hidden=32),
        gates=(BaseGate(metric="pesq", min="1.0"), BaseGate(metric="stoi", min="-1")),
        sentences={"en": ("Hello there.",)},
        files=files,
    )
    (folder / "base.json").write_text(document.model_dump_json(by_alias=True))
    return folder


@pytest.fixture(scope="session")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests."""
    return make_base(tmp_path_factory.mktemp("random-base"))


@pytest.fixture
def random_pro_base(tmp_path: Path, g2pw_model: Path) -> Path:
    """One with all encoders and a reader of polyphones."""
    return make_base(tmp_path / "random-pro-base", pro=True, g2pw=g2pw_model)


@pytest.fixture(scope="session")
def whisper_sentence() -> str:
    """What the recogniser of ``whisper_folder`` writes of every sound that is not silent."""
    return "今天天气很好。"


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory, whisper_sentence: str) -> Path:
    """A Whisper folder of the real classes, as small as they get; its decoder knows one sentence and no sound."""
    return make_whisper(tmp_path_factory.mktemp("recogniser") / "whisper", whisper_sentence)


def make_whisper(folder: Path, sentence: str) -> Path:
    """Write a Whisper whose position embeddings point to the tokens of the sentence, one after the other."""
    torch.manual_seed(0)
    names = ("en", "ja", "ko", "zh")
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in names)]
    special += ["<|transcribe|>", "<|notimestamps|>"]
    tokenizer = WhisperTokenizer(
        vocab={sign: n for n, sign in enumerate(sorted(bytes_to_unicode().values()))}, merges=[]
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.save_pretrained(folder)
    end, start, *languages, task, no_times = tokenizer.convert_tokens_to_ids(special)
    known = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    network = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer), d_model=64, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=48, **known,
        )
    )  # fmt: skip
    prompt = 4  # start, language, task, no timestamps
    said = [*tokenizer.encode(sentence, add_special_tokens=False), end]
    decoder = network.model.decoder
    with torch.no_grad():
        decoder.embed_tokens.weight.normal_()
        for number, token in enumerate(said):
            decoder.embed_positions.weight[prompt - 1 + number] = 10 * decoder.embed_tokens.weight[token]
    network.generation_config = GenerationConfig(
        is_multilingual=True, lang_to_id={f"<|{name}|>": token for name, token in zip(names, languages, strict=True)},
        task_to_id={"transcribe": task}, no_timestamps_token_id=no_times, max_length=48, suppress_tokens=[],
        begin_suppress_tokens=[end], **known,
    )  # fmt: skip
    network.save_pretrained(folder)
    return folder
