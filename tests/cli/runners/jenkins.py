"""Jenkins' own engine, groovy-cps: it runs the Jenkinsfile and the shared library, with the steps of jenkins.groovy."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.cli.pipelines import Ran
from tests.cli.runners.forge import Forge

RUNNER = Path(__file__).with_name("jenkins.groovy")
PRINTED = re.compile(r"^\| (.*)$", re.MULTILINE)


class Jenkins(Forge):
    """A multibranch project, whose library is the folder of ours."""

    def files(self, ci: Path, namespace: str, datasets: str) -> Mapping[str, str]:
        self._libraries = self._checkout.path.parent / "libraries"
        self._libraries.mkdir()
        (self._libraries / "voice-operator@main").symlink_to(ci / "jenkins")
        text = (ci / "jenkins" / "Jenkinsfile").read_text()
        return {"Jenkinsfile": text.replace("'studio'", f"'{namespace}', datasets: '{datasets}'")}

    def push(self, base: str, head: str) -> Ran:  # noqa: ARG002 -- it is HEAD
        """Run a build of the branch `main`; nobody answers its question, if it has one."""
        return self._build(base, BRANCH_NAME="main")

    def change_request(self, base: str) -> Ran:
        """Run a build of a pull request."""
        self._checkout.git("update-ref", "refs/remotes/origin/main", base)
        return self._build(base, BRANCH_NAME="PR-5", CHANGE_TARGET="main")

    def erase(self, base: str, head: str) -> Ran:  # noqa: ARG002 -- it is HEAD
        """Run a build of the branch `main` whose question is answered by yes."""
        return self._build(base, BRANCH_NAME="main", ANSWER="yes")

    def _build(self, base: str, **variables: str) -> Ran:
        command = ["java", "-cp", self._program, "groovy.ui.GroovyMain", str(RUNNER), str(self._libraries)]
        given = {"GIT_PREVIOUS_SUCCESSFUL_COMMIT": base} | variables
        code, seconds, printed = self._run(command, **given)
        log = "\n".join(PRINTED.findall(printed)) or printed
        return Ran(code, seconds, log, self._summary(self._checkout.path / "voices.md"))
