"""act: reads a workflow of GitHub and its actions, and runs the steps on this machine.

Actions of others cannot be fetched here: checking out is act's own, the rest are actions that do nothing.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cli.pipelines import Ran
from tests.cli.runners.forge import Forge, yaml_text

PRINTED = re.compile(r"^\[voices[\w-]*/\w+ *\] +\| (.*)$", re.MULTILINE)
PLACES = {"owner": "sovits", "release": "v1", "cluster": "school", "region": "eu-central-1"}
CARRIED = ("KUBECONFIG", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "PATH")


class GitHub(Forge):
    """A repository with the workflow, whose places in angle brackets have values."""

    def files(self, ci: Path, namespace: str, datasets: str) -> Mapping[str, str]:
        self._beside = self._checkout.path.parent / "actions"
        shutil.copytree(ci / "github", self._beside / "ours" / "ci" / "github")
        action = {"using": "composite", "steps": [{"shell": "bash", "run": "true"}]}
        (self._beside / "nothing").mkdir()
        (self._beside / "nothing" / "action.yml").write_text(yaml_text({"name": "nothing", "runs": action}))
        # A step's summary is gone when it has ended.
        self._program_file("voice", f'{sys.executable} -m voice_cli "$@" || code=$?\ncp "$GITHUB_STEP_SUMMARY" "$KEPT"')
        for name in ("aws", "gh"):  # gh: no run was successful yet
            self._program_file(name, "")
        self._checkout.git("config", "remote.origin.url", "https://github.com/school/voices.git")
        own = f'{namespace}\n          datasets: "{datasets}"\n          install: "true"'
        found = {}
        for name in ("voices.yml", "voices-erase.yml"):
            text = (ci / "github" / name).read_text().replace("<namespace>", own)
            text = re.sub(r"<role [^>]*>", "arn:aws:iam::1:role/voices", text)
            found[f".github/workflows/{name}"] = re.sub(r"<(\w+)>", lambda one: PLACES[one[1]], text)
        return found

    def _program_file(self, name: str, text: str) -> None:
        file = self._checkout.path.parent / "bin" / name
        file.write_text(f"#!/bin/sh\ncode=0\n{text}\nexit $code\n")
        file.chmod(0o755)

    def push(self, base: str, head: str) -> Ran:
        return self._event("push", {"ref": "refs/heads/main", "before": base, "after": head})

    def pull_request(self, base: str, head: str) -> Ran:
        """Run the workflow of a pull request from a branch of the same repository."""
        ends = {"base": {"sha": base, "ref": "main"}, "head": {"sha": head, "ref": "new"}}
        ends["head"] |= {"repo": {"full_name": "school/voices"}}  # type: ignore[dict-item]
        return self._event("pull_request", {"number": 5, "pull_request": ends})

    def erase(self, base: str, head: str) -> Ran:
        """Run the other workflow of the same push, as if a reviewer had said yes."""
        event = {"ref": "refs/heads/main", "before": base, "after": head}
        return self._event("push", event, "voices-erase.yml")

    def _event(self, name: str, event: Mapping[str, object], workflow: str = "voices.yml") -> Ran:
        (self._beside / "event.json").write_text(json.dumps(event))
        summary = self._beside / "summary.md"
        local = {
            "sovits/voice-operator@v1": "ours",
            "actions/upload-artifact@v4": "nothing",
            "aws-actions/configure-aws-credentials@v4": "nothing",
        }
        given = os.environ | self._runner.variables
        carried = {name: given[name] for name in CARRIED if name in given} | {"KEPT": str(summary)}
        code, seconds, printed = self._run(
            [
                *(self._program, name, "--workflows", f".github/workflows/{workflow}"),
                *("--platform", "ubuntu-latest=-self-hosted"),
                *("--eventpath", str(self._beside / "event.json")),
                *(
                    part
                    for ref, where in local.items()
                    for part in ("--local-repository", f"{ref}={self._beside / where}")
                ),
                *(part for one, value in carried.items() for part in ("--env", f"{one}={value}")),
            ]
        )
        log = "\n".join(PRINTED.findall(printed)) or printed
        return Ran(code, seconds, log, self._summary(summary))
