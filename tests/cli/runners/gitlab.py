"""gitlab-ci-local: reads a `.gitlab-ci.yml` with its includes, inputs and rules, and runs the jobs in shells."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.cli.pipelines import Ran
from tests.cli.runners.forge import Forge, yaml_text

PRINTED = re.compile(r"^voices-\w+\s+> (.*)$", re.MULTILINE)


class GitLab(Forge):
    """A project that includes the component with its inputs."""

    def files(self, ci: Path, namespace: str, datasets: str) -> Mapping[str, str]:
        inputs = {"namespace": namespace, "datasets": datasets, "install": "true"}
        include = [{"local": "ci/gitlab/voices.yml", "inputs": inputs}]
        return {
            "ci/gitlab/voices.yml": (ci / "gitlab" / "voices.yml").read_text(),
            ".gitlab-ci.yml": yaml_text({"include": include}),
        }

    def push(self, base: str, head: str) -> Ran:
        return self._pipeline(base, {"CI_COMMIT_BEFORE_SHA": base, "CI_COMMIT_SHA": head})

    def merge_request(self, base: str, head: str) -> Ran:
        """Run the pipeline of a merge request, which has no branch."""
        given = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_PIPELINE_SOURCE": "merge_request_event"}
        return self._pipeline(base, given | {"CI_COMMIT_SHA": head}, "--unset-variable", "CI_COMMIT_BRANCH")

    def erase(self, base: str, head: str) -> Ran:
        """Start the job that only a person starts."""
        return self._pipeline(base, {"CI_COMMIT_BEFORE_SHA": base, "CI_COMMIT_SHA": head}, "voices-erase")

    def _pipeline(self, base: str, variables: Mapping[str, str], *options: str) -> Ran:
        # `rules: changes` are compared with the branch of the remote, which is where it was before the push.
        self._checkout.git("update-ref", "refs/remotes/origin/main", base)
        given = {"CI_PROJECT_DIR": str(self._checkout.path)} | variables
        settings = [part for name, value in given.items() for part in ("--variable", f"{name}={value}")]
        code, seconds, printed = self._run([self._program, "--force-shell-executor", *settings, *options])
        log = "\n".join(PRINTED.findall(printed)) or printed
        return Ran(code, seconds, log, self._summary(self._checkout.path / "voices.md"))
