"""The command line beside a real API server, a real S3 and real git."""

import os
import subprocess
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.support.s3_server import environment_of, s3_server

from voice_cli import error_handlers, waiting
from voice_store import open_store

CLIPS = 8
SECONDS = 8  # of each; 64 s together
RATE = 8000


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().splitlines()[-1]


Voice = Callable[..., Done]


@pytest.fixture
def voice(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Voice:
    """Run one command in this process, with a real kubectl where it asks for one."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.3)

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        code = error_handlers.run([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own kubeconfig, keys, git settings and terminal."""
    for name in os.environ:
        if name.startswith(("AWS_", "GIT_", "VOICE_DATASETS", "KUBECONFIG")):
            monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "none"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def cluster(
    machine: None, control_plane: Path, user: object, tool: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's kubectl leads to the control plane, into the namespace of the tests, as its administrator."""
    config = yaml.safe_load(control_plane.read_text())
    config["contexts"][0]["context"]["namespace"] = "operator-tests"
    own = Path(os.environ["HOME"]) / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(own))
    monkeypatch.setenv("PATH", f"{tool('kubectl').parent}:{os.environ['PATH']}")


@pytest.fixture(scope="session")
def s3(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a real S3 with the bucket `voices`, and the folder of its buckets."""
    folder = tmp_path_factory.mktemp("s3") / "data"
    (folder / "voices").mkdir(parents=True)
    with s3_server(tool("versitygw"), folder) as port:
        yield port, folder


@pytest.fixture(scope="session")
def s3_port(s3: tuple[int, Path]) -> int:
    return s3[0]


@pytest.fixture
def bucket(machine: None, s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The caller's keys lead to the S3; returns what lists the keys below a URI."""
    for name, value in environment_of(s3_port).items():
        monkeypatch.setenv(name, value)
    return lambda uri: [entry.key for entry in open_store(uri).list()]


def make_folder(path: Path, *, clips: int = CLIPS, loudness: int = 1, **spec: object) -> Path:
    """A voice's folder; another loudness is another recording."""
    (path / "wavs").mkdir(parents=True)
    for number in range(clips):
        with wave.open(str(path / "wavs" / f"{number:03d}.wav"), "wb") as clip:
            clip.setnchannels(1)
            clip.setsampwidth(2)
            clip.setframerate(RATE)
            clip.writeframes(bytes([loudness, number]) * RATE * SECONDS)
    lines = [f"{number:03d}|This is sentence number {number}.\n" for number in range(clips)]
    (path / "metadata.csv").write_text("".join(lines))
    manifest = {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": path.name},
        "spec": {
            "language": "en",
            "base": "tiny",
            "consent": {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."},
        }
        | spec,
    }
    (path / "voice.yaml").write_text(yaml.safe_dump(manifest))
    return path


class Checkout:
    """A git checkout with a folder for each voice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.voices = path / "voices"
        self.git("init", "--quiet", "--initial-branch=main", str(path), at=path.parent)
        self.git("config", "user.name", "Eve Editor")
        self.git("config", "user.email", "eve@example.org")
        self.git("config", "remote.origin.url", "https://token:secret@git.example.org/voices.git")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(machine: None, tmp_path: Path) -> Checkout:
    (tmp_path / "repository").mkdir()
    return Checkout(tmp_path / "repository")
