"""A real base, voice bundles made on the spot, and servers that run them; torch is not needed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from sovits_core.bundle.base import open_base
from sovits_core.bundle.writing import file_digest
from sovits_core.serving.rounding import WeightBits
from voice_inference.api.app import create_app
from voice_inference.api.services import Services, build_services
from voice_inference.bundles.base import Base, load_base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.settings import Settings

BASE_URI = os.environ.get("VOICE_TEST_BASE", "embedded:tiny")
BASE = BaseReference(name="tiny", uri=BASE_URI, digest=open_base(BASE_URI).digest)
TIMEOUT_SECONDS = 60.0  # the machine may be busy
PROCESS_SECONDS = 120.0  # for a server that is a process of its own


@pytest.fixture(scope="session")
def base() -> Base:
    return load_base(BASE_URI, BASE, threads=1)


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The watermark's networks."""
    from dev.watermark import export  # noqa: PLC0415 -- torch, which no other test here needs

    folder = tmp_path_factory.mktemp("watermark")
    export(folder)
    return folder


@dataclass
class Bundle:
    """A voice bundle on disk that tests may damage before it is sealed."""

    folder: Path
    base: Base
    voice_id: str
    revision: str
    rank: int
    seed: int
    voice: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    adapter: dict[str, np.ndarray] = field(default_factory=dict)
    prompt: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        document = self.base.document
        for lora in self.base.lora:
            shape = lora.stack_shape(self.rank)[1:]
            for key in lora.keys:
                self.adapter.setdefault(key, (0.2 * rng.standard_normal(shape)).astype(np.float16))
        embedding = self.base.decode.shapes["ge"][1]
        self.prompt = {
            "codes": rng.integers(0, document.s1.end_token, 30),
            "phones": rng.integers(1, 300, 10),  # as slow as these voices speak
            "ge": rng.standard_normal(embedding).astype(np.float32),
        }
        self.config = {"peft_type": "LORA", "r": self.rank, "lora_alpha": self.rank}
        namespace, _, name = self.voice_id.partition("/")
        self.voice = {
            "schema": "voice.sovits.dev/voice/v1",
            "voice": {"namespace": namespace, "name": name, "uid": "1"},
            "revision": self.revision,
            "language": "en",
            "sampleRate": document.sample_rate,
            "base": {"name": document.name, "digest": self.base.digest},
            "symbolsSha256": document.symbols_sha256,
            "adapter": {"sha256": "", "rank": self.rank},
        }

    @property
    def uri(self) -> str:
        return self.folder.as_uri()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file(self.adapter, self.folder / "adapter_model.safetensors")
        save_file(self.prompt, self.folder / "prompt.safetensors")
        (self.folder / "adapter_config.json").write_text(json.dumps(self.config))
        (self.folder / "voice.json").write_text(json.dumps(self.voice))
        (self.folder / "report.html").write_text("<p>for people</p>")

    def speak_samples(self, *texts: str) -> None:
        """Write a report and a tone for each text, beside what callers must not hear: a recording, the base alone."""
        (self.folder / "samples").mkdir()
        rows = []
        for number, text in enumerate(texts, start=1):
            names = [f"samples/sentence-{number}{kind}.flac" for kind in ("", ".base")]
            rows.append({"text": text, "file": names[0], "baseFile": names[1], "cer": "0.1"})
            for name in (*names, f"samples/line-{number}.recording.flac"):
                tone = 0.1 * np.sin(
                    np.arange(self.base.sample_rate) * (200 * number) * 2 * np.pi / self.base.sample_rate
                )
                soundfile.write(self.folder / name, tone, self.base.sample_rate, subtype="PCM_16")
        (self.folder / "report.json").write_text(json.dumps({"schema": "…", "samples": rows}))

    def manifest(self) -> dict[str, Any]:
        files = {
            path.relative_to(self.folder).as_posix(): {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "size": path.stat().st_size,
            }
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != "manifest.json"
        }
        return {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": self.revision, "files": files}

    def seal(self, manifest: dict[str, Any] | None = None) -> VoiceReference:
        """Write the manifest, and return the reference that a server loads the bundle by."""
        data = json.dumps(manifest or self.manifest()).encode()
        (self.folder / "manifest.json").write_bytes(data)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return VoiceReference(id=self.voice_id, revision=self.revision, uri=self.uri, digest=digest)


MakeBundle = Callable[..., Bundle]


@pytest.fixture
def make_bundle(base: Base, tmp_path: Path) -> MakeBundle:
    def make(
        voice_id: str = "studio/alice", number: int = 1, *, rank: int = 2, seed: int | None = None, on: Base = base
    ) -> Bundle:
        revision = f"{voice_id.partition('/')[2]}-{number}"
        folder = tmp_path / "store" / voice_id / revision
        own_seed = int.from_bytes(hashlib.sha256(revision.encode() + voice_id.encode()).digest()[:4])
        bundle = Bundle(folder, on, voice_id, revision, rank, own_seed if seed is None else seed)
        bundle.write()
        return bundle

    return make


@pytest.fixture
def voice(make_bundle: MakeBundle, base: Base) -> Voice:
    bundle = make_bundle()
    return load_voice(bundle.folder, bundle.seal(), base)


Entry = VoiceReference | dict[str, Any]


class Desired:
    """The mounted document; each write is a new generation, replaced as a whole as kubelet does it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0

    @staticmethod
    def entry(voice: VoiceReference, *, following: VoiceReference | None = None, **fields: Any) -> dict[str, Any]:
        """An entry with more than its revision; `following` comes next."""
        beside = {"next": following.model_dump(exclude={"id"})} if following else {}
        return voice.model_dump() | beside | fields

    def document(self, *voices: Entry, base: dict[str, str] | None = None) -> dict[str, Any]:
        return {
            "schema": "voice.sovits.dev/desired-voices/v1",
            "server": {"namespace": "voice-system", "name": "default"},
            "generation": self.generation,
            "base": base or BASE.model_dump(),
            "voices": [voice if isinstance(voice, dict) else voice.model_dump() for voice in voices],
        }

    def write(self, *voices: Entry, base: dict[str, str] | None = None) -> None:
        self.generation += 1
        replacement = self.path.with_suffix(".new")
        replacement.write_text(json.dumps(self.document(*voices, base=base)))
        replacement.replace(self.path)


@pytest.fixture
def desired(tmp_path: Path) -> Desired:
    return Desired(tmp_path / "voices.json")


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2027, 10, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Server:
    """The app in this process, and a client that talks to it."""

    def __init__(self, services: Services, client: httpx.AsyncClient) -> None:
        self.services = services
        self.client = client

    async def create_speech(self, voice: str, text: str = "Hello there.", **fields: Any) -> httpx.Response:
        request = {"input": text, "voice": voice, "seed": 1, "response_format": "wav", **fields}
        return await self.client.post("/v1/audio/speech", json=request)

    async def voices(self) -> dict[str, dict[str, Any]]:
        answer = (await self.client.get("/v1/voices")).json()
        return {entry["id"]: {**entry, "generation": answer["generation"]} for entry in answer["data"]}

    async def until(self, condition: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """Wait until the listed voices meet the condition, and return them."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition(voices := await self.voices()):  # noqa: ASYNC110 -- seen from outside, as a client does
                await asyncio.sleep(0.02)
        return voices

    async def until_ready(self, *references: VoiceReference) -> None:
        expected = {reference.id: reference.revision for reference in references}
        await self.until(
            lambda voices: (
                {voice["id"]: voice["serving"] for voice in voices.values()} == expected
                and all(voice["state"] == "ready" for voice in voices.values())
            )
        )


StartServer = Callable[..., Any]


@pytest.fixture
def loaded_once(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_once(uri: str, reference: BaseReference, *, threads: int, step_bits: WeightBits) -> Base:
        """Sessions have no state, and making them takes seconds; other bases are loaded as ever."""
        return base if reference == BASE else load_base(uri, reference, threads=threads, step_bits=step_bits)

    monkeypatch.setattr("voice_inference.bundles.loader.load_base", load_once)


@pytest.fixture
def start_server(desired: Desired, clock: Clock, tmp_path: Path, loaded_once: None) -> StartServer:
    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Server]:
        given = {"voices": desired.path, "cache": tmp_path / "cache", "threads": 1, "poll_seconds": 0.05, **settings}
        services = build_services(Settings.model_validate(given), clock)
        app = create_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://server", timeout=TIMEOUT_SECONDS) as client,
        ):
            yield Server(services, client)

    return start


class StoredBase:
    """A copy of a base's graphs in a store, that tests may change; the files that only a trainer needs are left out."""

    def __init__(self, base: Base, folder: Path) -> None:
        source = base.prefill.path.parent.parent
        (folder / "onnx").mkdir(parents=True)
        for path in [source / "base.json", *sorted((source / "onnx").iterdir())]:
            (folder / path.relative_to(source)).write_bytes(path.read_bytes())
        self.folder = folder
        self.reference = BaseReference(name="tiny", uri=folder.as_uri(), digest=base.digest)

    def change(self, **changes: Any) -> BaseReference:
        """Change base.json, list the files that were added, and return the reference to what the base is then."""
        document = json.loads((self.folder / "base.json").read_text()) | changes
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.name != "base.json")
        document["files"] |= {path.relative_to(self.folder).as_posix(): file_digest(path) for path in files}
        data = json.dumps(document).encode()
        (self.folder / "base.json").write_bytes(data)
        return self.reference.model_copy(update={"digest": f"sha256:{hashlib.sha256(data).hexdigest()}"})


@pytest.fixture
def stored_base(base: Base, tmp_path: Path) -> StoredBase:
    return StoredBase(base, tmp_path / "base")


class Process:
    """A running server."""

    def __init__(self, popen: subprocess.Popen[str], client: httpx.Client) -> None:
        self.popen = popen
        self.client = client

    def number(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert found
        return float(found[1])

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PROCESS_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)


StartProcess = Callable[..., Any]


@pytest.fixture
def start_process(desired: Any, tmp_path: Path) -> StartProcess:
    @contextmanager
    def start(*flags: str, verify: ssl.SSLContext | bool = True) -> Iterator[Process]:
        command = [sys.executable, "-m", "voice_inference", "serve", "--host", "127.0.0.1", "--port", "0"]
        command += ["--voices", str(desired.path), "--cache", str(tmp_path / "cache"), "--threads", "1", *flags]
        log = tmp_path / "server.log"
        with (
            log.open("w") as stderr,
            subprocess.Popen(command, stderr=stderr, text=True, cwd=tmp_path, env=os.environ) as popen,
        ):
            try:
                with httpx.Client(base_url=url_of(popen, log), timeout=PROCESS_SECONDS, verify=verify) as client:
                    process = Process(popen, client)
                    process.until(lambda: client.get("/readyz").status_code == 200)
                    yield process
            finally:
                popen.kill()

    return start


def url_of(popen: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + PROCESS_SECONDS
    while not (found := re.search(r"running on (https?://\S+)", log.read_text())):
        assert popen.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found[1]
