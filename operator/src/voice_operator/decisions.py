"""``voice-operator approve`` and ``reject``: write one person's decision on a VoiceRevision, through their kubectl."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from voice_operator.errors import DecisionRefused
from voice_operator.reconcile.times import render

TIMEOUT_SECONDS = 60
KUBECTL_FLAGS = ("context", "kubeconfig", "as")


def main(arguments: Sequence[str]) -> None:
    """Write the decision that the arguments state.

    Raises:
        DecisionRefused: kubectl, or the API server, says no; the message has their words.
    """
    parser = argparse.ArgumentParser(
        prog="voice-operator",
        description="Decide about a VoiceRevision, in your own name, as kubectl knows you.",
    )
    parser.add_argument("verb", choices=("approve", "reject"))
    parser.add_argument("revision", help="name of the VoiceRevision")
    parser.add_argument("--reason", default="", help="why; a rejection needs one")
    parser.add_argument("-n", "--namespace", help="the revision's namespace (default: that of the kubeconfig)")
    for name in KUBECTL_FLAGS:
        parser.add_argument(f"--{name}", help=f"as kubectl's --{name}")
    options = parser.parse_args(arguments)
    given = {name: getattr(options, name) for name in ("namespace", *KUBECTL_FLAGS)}
    flags = [f"--{name}={value}" for name, value in given.items() if value is not None]
    if options.verb == "reject" and not options.reason.strip():
        parser.error("reject needs --reason")
    decision = "Approved" if options.verb == "approve" else "Rejected"
    person = _kubectl(flags, "auth", "whoami")["status"]["userInfo"]["username"]
    digest = _kubectl(flags, "get", "voicerevision", options.revision)["spec"]["artifacts"]["digest"]
    patch = json.dumps(decision_patch(person, decision, digest, options.reason, datetime.now(UTC)))
    _kubectl(flags, "patch", "voicerevision", options.revision, "--type=json", "--patch", patch)
    sys.stdout.write(f"{options.revision} ({digest}): {decision} by {person}\n")


def decision_patch(person: str, decision: str, digest: str, reason: str, now: datetime) -> list[dict[str, Any]]:
    """Return the JSON patch that appends a decision about the bundle with this digest."""
    record = {"by": person, "decision": decision, "at": render(now), "digest": digest, "reason": reason}
    return [
        {"op": "test", "path": "/spec/artifacts/digest", "value": digest},
        {"op": "add", "path": "/review/decisions/-", "value": record},
    ]


def _kubectl(flags: Sequence[str], *command: str) -> dict[str, Any]:
    """Run kubectl with the person's flags, and return what it prints."""
    binary = shutil.which("kubectl")
    if binary is None:
        raise DecisionRefused("kubectl is not on the PATH; install it")
    asked = [binary, *command, *flags, "--output=json"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
    except subprocess.CalledProcessError as error:
        raise DecisionRefused(str(error.stderr).strip()) from error
    except subprocess.TimeoutExpired as error:
        raise DecisionRefused(f"kubectl did not answer within {TIMEOUT_SECONDS} s; try again") from error
    found: dict[str, Any] = json.loads(done.stdout)
    return found
