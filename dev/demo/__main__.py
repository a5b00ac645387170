"""`make demo`: recordings of a speaker become a voice that speaks from an in-cluster Service."""

import argparse
import json
import os
import sys
from pathlib import Path

from dev.demo.follow import follow
from dev.demo.kubectl import Kubectl, Manifest
from dev.demo.objects import download, upload
from dev.demo.preparation import Prepared, prepared
from dev.errors import DevError
from dev.paths import REPOSITORY
from dev.recordings import Recordings, choose
from dev.speech import speak
from dev.stopwatch import Stopwatch
from dev.terminal import main_of, run, say
from voice_store import Store, StoreError, StoreFactory

SYSTEM, STUDIO = "voice-system", "studio"
RELEASE = "voice-operator"
BUCKET = "s3://voices"
SENTENCE = "Hello. This voice was trained a moment ago, and it already speaks from the cluster."


def main() -> int:
    """Run the demonstration; everything it makes is below `--out`."""
    options = _options()
    out: Path = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    recordings = choose(options.voice)
    say(f"==> recordings: {recordings.folder} as voice {recordings.name!r}")
    with prepared(watch) as ready:
        kubectl = ready.kubectl
        with watch.step("chart", "chart"):
            _install(ready)
        with watch.step("upload", "recordings to S3"):
            stores = open_stores(kubectl)
            stores.open(BUCKET).make_root()
            dataset = stores.open(f"{BUCKET}/datasets/{STUDIO}/{recordings.name}")
            say(f"    {upload(recordings, dataset)} new files in {dataset.uri}")
        with watch.step("voice", f"kubectl apply: voice {recordings.name} in namespace {STUDIO}"):
            kubectl.apply(voice_manifest(recordings, options.epochs))
            voice, journey = follow(
                kubectl, recordings.name, STUDIO, patience=options.patience, background=ready.on_every_node
            )
    applied = watch.begun["voice"]
    for phase, seconds in journey.seconds().items():
        watch.note(f"voice: {phase}", applied + journey.entered[phase], seconds)
    with watch.step("speak", "one sentence through the Service"), kubectl.forward("default", SYSTEM, 80) as address:
        remedy = f"kubectl logs -n {SYSTEM} deploy/default"
        spoken = speak(address, f"{STUDIO}/{recordings.name}", SENTENCE, out / "hello.wav", remedy=remedy)
    with watch.step("report", "the evaluation report"):
        _fetch_report(stores.open(voice["status"]["artifacts"]["uri"]), out)

    status = voice["status"]
    result = {
        "voice": f"{STUDIO}/{recordings.name}",
        "revision": status["activeRevision"],
        "artifactUri": status["artifacts"]["uri"],
        "scores": status["scores"],
        "wav": str(out / "hello.wav"),
        "wavSeconds": spoken,
        "secondsTotal": watch.total(),
        "secondsByStep": watch.seconds,
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    watch.write(out / "timings.json")
    say(kubectl("get", "voices", "-A"))
    watch.print()
    say(f"    listen:  {out / 'hello.wav'} ({spoken:.1f} s)")
    say(f"    report:  {out / 'report.html'}")
    say(f"    result:  {out / 'result.json'}, timings.json")
    return 0


def voice_manifest(recordings: Recordings, epochs: int) -> Manifest:
    """The VoiceModel of these recordings."""
    return {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": recordings.name, "namespace": STUDIO},
        "spec": {
            "language": "en",
            "base": "tiny",
            "dataset": {"uri": f"{BUCKET}/datasets/{STUDIO}/{recordings.name}"},
            "consent": {
                "holder": recordings.holder,
                "statement": "May be used to train a demonstration voice.",
            },
            "training": {"epochs": epochs},
        },
    }


def _install(ready: Prepared) -> None:
    """Install or upgrade the chart; unchanged values leave everything as it is."""
    for namespace in (SYSTEM, STUDIO):
        ready.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    overrides = [f"--set=images.{part}.ref={ref}" for part, ref in ready.images.items()]
    values = REPOSITORY / "examples" / "values-dev.yaml"
    chart = REPOSITORY / "charts" / "voice-operator"
    run(
        [ready.helm, "upgrade", "--install", RELEASE, chart, "-n", SYSTEM, f"--values={values}", *overrides, "--wait"],
        env=ready.kubectl.environment,
        remedy=f"kubectl get pods -n {SYSTEM}",
    )


def open_stores(kubectl: Kubectl) -> StoreFactory:
    """Open the store that the environment names, or else the development store through its Service's address."""
    return StoreFactory(store_environment(kubectl) or None)


def store_environment(kubectl: Kubectl) -> dict[str, str]:
    """Return the variables that lead to the development store; none where the environment names a store."""
    if os.environ.get("AWS_ENDPOINT_URL_S3"):
        return {}
    service = kubectl.get("service", "s3", "voice-s3")["spec"]
    return {
        "AWS_ENDPOINT_URL_S3": f"http://{service['clusterIP']}:{service['ports'][0]['port']}",
        "AWS_ACCESS_KEY_ID": "voicedev",
        "AWS_SECRET_ACCESS_KEY": "voicedev-secret",
    }


def _fetch_report(store: Store, out: Path) -> None:
    """Put the voice bundle's report and samples beside the spoken sentence."""
    bundle = out / "bundle"
    for path in download(store, bundle):
        relative = path.relative_to(bundle)
        if relative.name.startswith("report.") or relative.parts[0] == "samples":
            (out / relative).parent.mkdir(parents=True, exist_ok=True)
            (out / relative).write_bytes(path.read_bytes())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--voice",
        type=Path,
        help="a folder with metadata.csv (id|text) and wavs/; default: the sample recordings",
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
