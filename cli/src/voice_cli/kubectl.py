"""The caller's own kubectl: their contexts, their credentials, their rights (docs/decisions/0060)."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_cli.api import KIND_NAMES, Object
from voice_cli.errors import NotFound, Unavailable
from voice_cli.refusals import error_of

TIMEOUT_SECONDS = 60
NAMES = 100  # in one command line
FIELD_MANAGER = "kubectl-voice"
ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Answer:
    """How a program in a pod ended."""

    code: int
    printed: str
    said: str  # on standard error, without what kubectl adds


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the flags that the caller gave; every method raises a ``CliError`` with the API server's words."""

    flags: tuple[str, ...] = ()  # as --context=here
    given_namespace: str = ""  # empty: that of the context

    def text(self, *arguments: str, stdin: str | None = None, namespaced: bool = True) -> str:
        """Run kubectl and return what it prints.

        Raises:
            CliError: it is missing, or the API server refuses or does not answer.
        """
        command = self._command(arguments, namespaced=namespaced)
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise error_of(str(error.stderr)) from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"kubectl did not answer within {TIMEOUT_SECONDS} s; try again") from error
        except UnicodeDecodeError as error:
            raise Unavailable("kubectl printed something that is no text; try again") from error
        return done.stdout

    def json(self, *arguments: str, stdin: str | None = None, namespaced: bool = True) -> Object:
        """Run kubectl and return the object that it prints."""
        printed = self.text(*arguments, "--output=json", stdin=stdin, namespaced=namespaced)
        try:
            found: Object = json.loads(printed)
        except ValueError as error:
            raise Unavailable("kubectl printed no JSON; is it a wrapper of something else?") from error
        return found

    def raw(self, path: str) -> Object:
        """Return the answer to a GET of a path of the API."""
        found: Object = json.loads(self.text("get", "--raw", path, namespaced=False))
        return found

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        try:
            return self.json("get", kind, name)
        except NotFound as error:
            where = f" in namespace {self.namespace()}"
            remedy = "; `kubectl voice list` shows the voices that there are" if kind in KIND_NAMES else ""
            raise NotFound(f"there is no {KIND_NAMES.get(kind, kind)} {name}{where}{remedy}") from error

    def named(self, kind: str, names: Sequence[str]) -> list[Object]:
        """Return the objects of these names that there are, by one process."""
        found: list[Object] = []
        for first in range(0, len(names), NAMES):
            printed = self.text("get", kind, *names[first : first + NAMES], "--ignore-not-found", "--output=json")
            answer = json.loads(printed) if printed.strip() else {"items": []}
            found += answer.get("items", [answer])
        return found

    def items(self, kinds: str, *, labels: str = "", everywhere: bool = False) -> list[Object]:
        """Return the objects of one or more kinds, as ``voicemodels,voicerevisions``."""
        flags = [f"--selector={labels}"] if labels else []
        flags += ["--all-namespaces"] if everywhere else []
        found: list[Object] = self.json("get", kinds, *flags, namespaced=not everywhere).get("items") or []
        return found

    def patch(self, kind: str, name: str, change: Any, *, how: str = "merge") -> Object:
        """Change one object by a merge patch, or by a JSON patch."""
        manager = f"--field-manager={FIELD_MANAGER}"
        return self.json("patch", kind, name, f"--type={how}", f"--patch={json.dumps(change)}", manager)

    def apply(self, document: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """Server-side apply."""
        flags = ["--server-side", f"--field-manager={FIELD_MANAGER}", "--filename=-"]
        flags += ["--dry-run=server"] if dry_run else []
        flags += ["--force-conflicts"] if force else []
        return self.json("apply", *flags, stdin=json.dumps(document))

    def whoami(self) -> str:
        """Return the caller's username, as the API server knows them."""
        found = self.json("auth", "whoami", namespaced=False)
        return str(found["status"]["userInfo"]["username"])

    def namespace(self) -> str:
        """Return the namespace that commands work in: the given one, that of the context, that of the pod."""
        if self.given_namespace:
            return self.given_namespace
        shown = self.text("config", "view", "--minify", "--output=jsonpath={..namespace}", namespaced=False).strip()
        if not shown and "KUBERNETES_SERVICE_HOST" in os.environ and ACCOUNT_NAMESPACE.is_file():
            shown = ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
        return shown or "default"

    def within(self, namespace: str) -> "Kubectl":
        """Return the same for another namespace."""
        return Kubectl(self.flags, namespace)

    def follow(self, *arguments: str) -> None:
        """Run kubectl, whose output goes to the caller as it comes.

        Raises:
            CliError: with what kubectl says about its failure.
        """
        done = subprocess.run(
            self._command(arguments, namespaced=True), check=False, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        if done.returncode:
            raise error_of(done.stderr)

    def run_in(self, target: str, *command: str) -> Answer:
        """Run a program in the pod of a workload, and return how it ended.

        Raises:
            CliError: kubectl cannot run it there.
        """
        arguments = self._command(("exec", target, "--", *command), namespaced=True)
        done = subprocess.run(arguments, capture_output=True, check=False, text=True, errors="replace")
        said, ended, code = done.stderr.strip().rpartition("command terminated with exit code ")
        if done.returncode and not ended:
            raise error_of(done.stderr)
        return Answer(int(code), done.stdout, said.strip()) if ended else Answer(0, done.stdout, code)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a kubectl that goes on, as for port-forward."""
        command = self._command(arguments, namespaced=True)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _command(self, arguments: Sequence[str], *, namespaced: bool) -> list[str]:
        binary = shutil.which("kubectl")
        if binary is None:
            raise Unavailable("kubectl is not on the PATH; install it (https://kubernetes.io/docs/tasks/tools)")
        where = (f"--namespace={self.given_namespace}",) if namespaced and self.given_namespace else ()
        verb, *rest = arguments
        return [binary, verb, *where, *self.flags, *rest]
