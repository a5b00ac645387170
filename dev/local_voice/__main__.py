"""`make try`: recordings of a speaker become a voice that speaks on this machine; no cluster, no root, no Go."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path

from dev.errors import DevError
from dev.local_voice.server import LocalServer, local_server
from dev.local_voice.training import TrainedVoice, train
from dev.paths import REPOSITORY, exclusive_lock
from dev.recordings import choose
from dev.speech import speak
from dev.stopwatch import Stopwatch
from dev.terminal import main_of, say

SENTENCE = "Hello. This voice was trained a moment ago, and it already speaks on this machine."
EPOCHS = 6
"""Fewer than a job's default, for a CPU: some five seconds an epoch of the sample recordings on one idle core."""
PORT = 8080


def main() -> int:
    """Train, serve, speak one sentence, and go on serving where a person looks on."""
    options = _options()
    watch = Stopwatch()
    recordings = choose(options.voice)
    out: Path = options.out.absolute()
    work = out / recordings.name
    work.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(work / "lock", f"using {work}"):
        say(f"==> training voice {recordings.name} from {recordings.folder}")
        with watch.step("train voice"):
            voice = train(recordings, work, watch, sentence=SENTENCE, epochs=options.epochs)
        say("==> starting the server")
        with local_server(work, options.port) as server:
            with watch.step("start server"):
                server.wait_for(voice.id)
            with watch.step("speak"):
                seconds = speak(server.address, voice.id, SENTENCE, out / "hello.wav", remedy=f"see {server.log}")
            _copy_report(voice, out)
            _write_result(voice, server, seconds, watch, out)
            watch.print()
            _say_where_to_listen(voice, server, out)
            if not options.once and sys.stdout.isatty():
                _serve_until_interrupted(server)
    return 0


def _serve_until_interrupted(server: LocalServer) -> None:
    say("    serving; Ctrl-C ends it")
    try:
        server.serve()
    except KeyboardInterrupt:
        say("\n    the server is stopped; `make try` starts it again within seconds")


def _copy_report(voice: TrainedVoice, out: Path) -> None:
    """Put the report and the samples it plays beside the spoken sentence."""
    shutil.rmtree(out / "samples", ignore_errors=True)
    shutil.copytree(voice.bundle / "samples", out / "samples")
    shutil.copy(voice.bundle / "report.html", out / "report.html")


def _write_result(voice: TrainedVoice, server: LocalServer, seconds: float, watch: Stopwatch, out: Path) -> None:
    result = {
        "voice": voice.id,
        "revision": voice.revision,
        "scores": voice.scores,
        "wav": str(out / "hello.wav"),
        "wavSeconds": seconds,
        "address": server.address,
        "curl": curl_line(voice, server),
        "secondsTotal": watch.total(),
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    watch.write(out / "timings.json")


def curl_line(voice: TrainedVoice, server: LocalServer) -> str:
    """Return a command for the clipboard; it works as printed while the server runs."""
    body = json.dumps({"voice": voice.id, "input": "Good morning."})
    url = f"{server.address}/v1/audio/speech"
    return shlex.join(["curl", "--fail", url, "-d", body, "-o", "good-morning.mp3"])


def _say_where_to_listen(voice: TrainedVoice, server: LocalServer, out: Path) -> None:
    say(f"    listen:  {out / 'hello.wav'}")
    say(f"    report:  {out / 'report.html'} ({', '.join(f'{name} {value}' for name, value in voice.scores.items())})")
    say(f"    server:  {server.address} (its API: {server.address}/docs)")
    say(f"    speak:   {curl_line(voice, server)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make try", description=__doc__)
    parser.add_argument(
        "--voice", type=Path, help="a folder with metadata.csv (id|text) and wavs/; default: the sample recordings"
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "try", help="where results go (default: out/try)"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"training epochs (default: {EPOCHS})")
    parser.add_argument("--port", type=int, default=PORT, help=f"where the server listens (default: {PORT})")
    parser.add_argument("--once", action="store_true", help="end after the sentence, on a terminal too")
    options = parser.parse_args()
    if options.epochs < 1:
        raise DevError(f"--epochs is {options.epochs}", remedy="give 1 or more")
    if not 1 <= options.port <= 65535:
        raise DevError(f"--port (PORT) is {options.port}", remedy="give a port from 1 to 65535")
    return options


if __name__ == "__main__":
    sys.exit(main_of(main))
