"""`make try`, run for real: recordings become a voice that speaks on this machine, and bad input ends as a sentence."""

import hashlib
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from dev.local_voice.server import free_port, local_server

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "examples" / "sample-voice"
TIMEOUT_SECONDS = 900.0  # seconds; the machine may be busy
STAGES = ("prepare", "features", "train", "evaluate", "publish")
CLIPS = 20  # of the sample recordings: little more than the minute of speech that is needed
# Where tests run in the background of a script, Ctrl-C is ignored by everything that they start.
INTERRUPT = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT


def run_try(*flags: str, **given: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "dev.local_voice", *flags]
    return subprocess.Popen(command, cwd=REPOSITORY, text=True, **given)


def finish(process: "subprocess.Popen[str]") -> str:
    """What it told people, once it has ended."""
    try:
        return process.communicate(timeout=TIMEOUT_SECONDS)[1]
    finally:
        process.kill()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes_of(folder: Path) -> list[str]:
    """Command lines of everything that runs and was told about the folder, by its command line or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            told = command + (process / "environ").read_bytes()
        except OSError:  # it ended while we looked
            continue
        if os.fsencode(folder) in told and int(process.name) != os.getpid():
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def keep_clips(folder: Path, count: int) -> None:
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "metadata.csv").write_text("".join(lines[:count]), encoding="utf-8")
    for clip in sorted((folder / "wavs").iterdir())[count:]:
        clip.unlink()


@dataclass(frozen=True)
class Trial:
    """A run that was interrupted, and the one that went on."""

    out: Path
    recordings: Path
    interrupted: int
    prepared_before: str
    said: str
    taken_port: int

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.out / "result.json").read_text(encoding="utf-8"))

    def manifest(self, stage: str) -> str:
        (path,) = (self.out / "sample").glob(f"try/sample/*/{stage}/manifest.json")
        return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    out = tmp_path_factory.mktemp("with a space") / "try"
    recordings = tmp_path_factory.mktemp("recordings") / "sample"
    shutil.copytree(SAMPLE, recordings)
    keep_clips(recordings, CLIPS)
    trial = Trial(out, recordings, 0, "", "", 0)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        flags = ["--once", "--epochs", "1", "--voice", str(recordings), "--out", str(out), "--port", str(port)]
        first = run_try(*flags, stderr=subprocess.PIPE)
        prepared = lambda: list((out / "sample").glob("try/sample/*/prepare/manifest.json"))  # noqa: E731
        wait_until(lambda: first.poll() is not None or prepared())
        first.send_signal(INTERRUPT)
        told = finish(first)
        assert prepared(), told
        assert processes_of(out) == []
        before = trial.manifest("prepare")
        second = run_try(*flags, stderr=subprocess.PIPE)
        said = finish(second)
    assert second.returncode == 0, said
    return Trial(out, recordings, first.returncode, before, said, port)


def test_an_interrupted_run_ends_cleanly_and_the_next_one_goes_on_where_it_stopped(trial: Trial) -> None:
    assert trial.interrupted == 130
    assert trial.manifest("prepare") == trial.prepared_before
    assert [json.loads(trial.manifest(stage))["stage"] for stage in STAGES] == list(STAGES)


def test_it_leaves_a_spoken_sentence_a_report_and_the_seconds_of_each_phase(trial: Trial) -> None:
    samples, rate = soundfile.read(trial.out / "hello.wav", dtype="float32")
    assert 1.5 <= len(samples) / rate <= 20
    assert abs(samples).max() > 0.02
    assert (trial.out / "report.html").stat().st_size > 1000
    assert {"pesq", "stoi"} <= trial.result["scores"].keys()
    phases = json.loads((trial.out / "timings.json").read_text(encoding="utf-8"))["phases"]
    assert {*STAGES[1:], "train voice", "start server", "speak"} <= phases.keys(), "prepare was done before"


def test_a_taken_port_is_said_and_another_one_used(trial: Trial) -> None:
    assert f"port {trial.taken_port} is taken" in trial.said
    assert not trial.result["address"].endswith(f":{trial.taken_port}")


def test_where_nobody_looks_progress_is_plain_lines(trial: Trial) -> None:
    assert re.search("^.* train: done in", trial.said, re.MULTILINE)
    assert "\x1b" not in trial.said


def test_once_leaves_nothing_running(trial: Trial) -> None:
    assert processes_of(trial.out) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(trial.result["address"], trust_env=False)


def test_on_a_terminal_it_serves_until_ctrl_c_and_the_printed_curl_line_works(trial: Trial, tmp_path: Path) -> None:
    trained = trial.manifest("train")
    ours, terminal = pty.openpty()
    flags = [
        "--epochs",
        "1",
        "--voice",
        str(trial.recordings),
        "--out",
        str(trial.out),
        "--port",
        str(free_port(18080)),
    ]
    process = run_try(*flags, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, bufsize=1)
    os.close(terminal)
    try:
        said = ""
        while "Ctrl-C ends it" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        curl = re.search(r"^ +speak: +(curl .*)$", said, re.MULTILINE)[1]
        subprocess.run(curl, shell=True, cwd=tmp_path, check=True, capture_output=True)  # noqa: S602 -- as a person would
        assert soundfile.info(tmp_path / "good-morning.mp3").duration > 0.3
        process.send_signal(INTERRUPT)
        finish(process)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 0
    assert trial.manifest("train") == trained, "nothing is trained twice"
    assert processes_of(trial.out) == []


@pytest.fixture(scope="module")
def readme_curl() -> list[str]:
    """The README's line, as its reader's shell splits it."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ (curl .*)$", readme, re.MULTILINE)
    return shlex.split(line)


def renamed(bundle: Path, namespace: str, name: str) -> str:
    """Make a bundle that of another voice; return its digest."""
    voice = json.loads((bundle / "voice.json").read_bytes())
    voice["voice"] |= {"namespace": namespace, "name": name}
    content = json.dumps(voice).encode()
    (bundle / "voice.json").write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"]["voice.json"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return f"sha256:{hashlib.sha256((bundle / 'manifest.json').read_bytes()).hexdigest()}"


@pytest.fixture
def server_of_the_readme(trial: Trial, tmp_path: Path) -> Iterator[str]:
    """A real server that serves the README's voice: the one of the trial under its name."""
    document = json.loads((trial.out / "sample/voices.json").read_text(encoding="utf-8"))
    (entry,) = document["voices"]
    (published,) = (trial.out / "sample").glob("try/sample/revisions/*")
    bundle = shutil.copytree(published, tmp_path / "bundle")
    entry |= {"id": "studio/alice", "uri": bundle.as_uri(), "digest": renamed(bundle, "studio", "alice")}
    (tmp_path / "voices.json").write_text(json.dumps(document), encoding="utf-8")
    with local_server(tmp_path, free_port(18081)) as server:
        server.wait_for("studio/alice")
        yield server.address


def test_the_readmes_curl_works_as_printed(readme_curl: list[str], server_of_the_readme: str, tmp_path: Path) -> None:
    # The one thing that differs is where localhost:8080 leads: to a port of ours instead of one forwarded to a cluster.
    port = server_of_the_readme.rpartition(":")[2]
    added = ["--silent", "--show-error", "--connect-to", f"localhost:8080:127.0.0.1:{port}"]
    done = subprocess.run([*readme_curl, *added], cwd=tmp_path, check=False, capture_output=True, text=True)
    written = tmp_path / readme_curl[readme_curl.index("-o") + 1]
    assert done.returncode == 0, done.stderr
    assert soundfile.info(written).duration > 0.3


def spoilt(tmp_path: Path, spoil: Callable[[Path], object]) -> Path:
    folder = tmp_path / "recordings"
    shutil.copytree(SAMPLE, folder)
    spoil(folder)
    return folder


BAD_FOLDERS = {
    "VOICE={folder} does not exist": shutil.rmtree,
    "VOICE={folder} has no metadata.csv": lambda folder: (folder / "metadata.csv").unlink(),
    "VOICE={folder} has no sound file": lambda folder: shutil.rmtree(folder / "wavs"),
    "VOICE={folder}: metadata.csv is empty": lambda folder: (folder / "metadata.csv").write_text(""),
    "at least 60 s are needed": lambda folder: keep_clips(folder, 5),
}


@pytest.mark.parametrize(("sentence", "spoil"), BAD_FOLDERS.items(), ids=BAD_FOLDERS)
def test_bad_recordings_end_as_a_sentence(sentence: str, spoil: Callable[[Path], object], tmp_path: Path) -> None:
    folder = spoilt(tmp_path, spoil)
    process = run_try("--once", "--voice", str(folder), "--out", str(tmp_path / "try"), stderr=subprocess.PIPE)
    said = finish(process)
    assert process.returncode == 1
    assert sentence.format(folder=folder) in said
    assert "remedy: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("flags", [("--epochs", "0"), ("--port", "65536")])
def test_a_number_that_cannot_be_is_named(flags: tuple[str, str]) -> None:
    process = run_try("--once", *flags, stderr=subprocess.PIPE)
    said = finish(process)
    assert process.returncode == 1
    assert flags[0] in said
    assert flags[1] in said
