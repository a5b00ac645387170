"""`make demo`: recordings of a speaker become a voice that speaks from an in-cluster Service."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import soundfile

from dev.demo import recordings
from dev.demo.follow import follow
from dev.demo.kubectl import Kubectl, Manifest
from dev.demo.objects import download, upload
from dev.errors import DevError
from dev.paths import REPOSITORY, cache
from dev.terminal import main_of, run, say
from voice_store import Store, StoreError, StoreFactory

SYSTEM, STUDIO = "voice-system", "studio"
RELEASE = "voice-operator"
BUCKET = "s3://voices"
SENTENCE = "Hello. This voice was trained a moment ago, and it already speaks from the cluster."


class Stopwatch:
    """Seconds by step, in the order in which the steps ran."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """Announce a step and note how long it took."""
        say(f"==> {title}")
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 1)

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self.started, 1)


def main() -> int:
    """Run the demonstration; everything it makes is below `--out`."""
    options = _options()
    out: Path = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    try:
        chosen = recordings.choose(options.voice, cache() / "demo")
    except recordings.RecordingsError as error:
        raise DevError(str(error), remedy="see docs/recordings.md") from error
    say(f"==> recordings: {chosen.folder} as voice {chosen.name!r}")

    with watch.step("cluster", "cluster"):
        _dev("cluster", "up")
        kubectl = Kubectl(Path(os.environ.get("KUBECONFIG") or _dev("cluster", "kubeconfig")))
    with watch.step("images", "images"):
        images: dict[str, str] = json.loads(_dev("images", "build", "all"))
    with watch.step("install", "chart"):
        _install(kubectl, images)
    with watch.step("upload", "recordings to S3"):
        stores = _stores(kubectl)
        stores.open(BUCKET).make_root()
        dataset = stores.open(f"{BUCKET}/datasets/{chosen.name}")
        say(f"    {upload(chosen, dataset)} new files in {dataset.uri}")
    with watch.step("voice", f"kubectl apply: voice {chosen.name} in namespace {STUDIO}"):
        kubectl.apply(voice_manifest(chosen, options.epochs))
        voice, journey = follow(kubectl, chosen.name, STUDIO, patience=options.patience)
    with watch.step("speak", "one sentence through the Service"):
        spoken = _speak(kubectl, f"{STUDIO}/{chosen.name}", out / "hello.wav")
    with watch.step("report", "the evaluation report"):
        _fetch_report(stores.open(voice["status"]["artifacts"]["uri"]), out)

    status = voice["status"]
    result = {
        "voice": f"{STUDIO}/{chosen.name}",
        "revision": status["activeRevision"],
        "artifactUri": status["artifacts"]["uri"],
        "scores": status["scores"],
        "wav": str(out / "hello.wav"),
        "wavSeconds": spoken,
        "secondsTotal": watch.total(),
        "secondsByStep": watch.seconds | {f"voice.{phase}": seconds for phase, seconds in journey.seconds().items()},
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    say(kubectl("get", "voices", "-A"))
    say(f"    listen: {out / 'hello.wav'} ({spoken:.1f} s)")
    say(f"    report: {out / 'report.html'}")
    say(f"    result: {out / 'result.json'}")
    return 0


def voice_manifest(chosen: recordings.Recordings, epochs: int) -> Manifest:
    """The VoiceModel of these recordings."""
    return {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": chosen.name, "namespace": STUDIO},
        "spec": {
            "language": "en",
            "base": "tiny",
            "dataset": {"uri": f"{BUCKET}/datasets/{chosen.name}"},
            "consent": {
                "holder": chosen.holder,
                "statement": "May be used to train a demonstration voice.",
            },
            "training": {"epochs": epochs},
        },
    }


def _install(kubectl: Kubectl, images: dict[str, str]) -> None:
    """Install or upgrade the chart; unchanged values leave everything as it is."""
    for namespace in (SYSTEM, STUDIO):
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    helm = _dev("tool", "helm")
    overrides = [f"--set=images.{part}.ref={ref}" for part, ref in images.items()]
    values = REPOSITORY / "examples" / "values-dev.yaml"
    chart = REPOSITORY / "charts" / "voice-operator"
    run(
        [helm, "upgrade", "--install", RELEASE, chart, "-n", SYSTEM, f"--values={values}", *overrides, "--wait"],
        env=kubectl.environment,
        remedy=f"kubectl get pods -n {SYSTEM}",
    )


def _stores(kubectl: Kubectl) -> StoreFactory:
    """Open the store that the environment names, or else the development store through its Service's address."""
    if os.environ.get("AWS_ENDPOINT_URL_S3"):
        return StoreFactory()
    service = kubectl.get("service", "s3", "voice-s3")["spec"]
    development = {
        "AWS_ENDPOINT_URL_S3": f"http://{service['clusterIP']}:{service['ports'][0]['port']}",
        "AWS_ACCESS_KEY_ID": "voicedev",
        "AWS_SECRET_ACCESS_KEY": "voicedev-secret",
    }
    return StoreFactory(development)


def _speak(kubectl: Kubectl, voice: str, target: Path) -> float:
    """Ask the Service for one sentence, keep the WAV and return its seconds.

    Raises:
        DevError: the service refused, or what came back is silence or implausibly short or long.
    """
    request: dict[str, Any] = {"input": SENTENCE, "voice": voice, "response_format": "wav", "seed": 7}
    with kubectl.forward("default", SYSTEM, 80) as address:
        answer = httpx.post(f"{address}/v1/audio/speech", json=request, timeout=120)
    if answer.status_code != httpx.codes.OK:
        raise DevError(
            f"the service answered {answer.status_code}: {answer.text[:500]}",
            remedy=f"kubectl logs -n {SYSTEM} deploy/default",
        )
    target.write_bytes(answer.content)
    samples, rate = soundfile.read(target, dtype="float32")
    seconds = float(len(samples) / rate)
    loudest = float(abs(samples).max()) if len(samples) else 0.0
    if loudest < 0.01 or not 1.5 <= seconds <= 30:  # the sentence takes a person some five seconds
        raise DevError(
            f"{target} does not sound like the sentence: {seconds:.1f} s, peak {loudest:.3f}", remedy="listen to it"
        )
    return round(seconds, 2)


def _fetch_report(store: Store, out: Path) -> None:
    """Put the voice bundle's report and samples beside the spoken sentence."""
    bundle = out / "bundle"
    for path in download(store, bundle):
        relative = path.relative_to(bundle)
        if relative.name.startswith("report.") or relative.parts[0] == "samples":
            (out / relative).parent.mkdir(parents=True, exist_ok=True)
            (out / relative).write_bytes(path.read_bytes())


def _dev(module: str, *arguments: str) -> str:
    """Run one of the development commands and return its answer; what it tells people goes to the terminal."""
    command = ["python3", "-m", f"dev.{module}", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise DevError(f"`{' '.join(command)}` ended with {done.returncode}", remedy="the lines above say why")
    return done.stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--voice",
        type=Path,
        help="a folder with metadata.csv (id|text) and wavs/; default: a reader at hand, else flite",
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "demo", help="where results go (default: out/demo)"
    )
    parser.add_argument("--epochs", type=int, default=10, help="training epochs (default: 10)")
    parser.add_argument("--patience", type=float, default=1800, help="seconds to wait for the voice (default: 1800)")
    return parser.parse_args()


def _command() -> int:
    try:
        return main()
    except StoreError as error:  # a sentence with its remedy already
        raise DevError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main_of(_command))
