"""Go programs are built once, those that are missing together, and appear whole or not at all."""

from pathlib import Path

import pytest
from dev import builds, terminal
from dev.errors import DevError

GO = """#!/bin/sh
# Stands for the compiler: notes how it was called, and writes a program for each package.
echo "$PWD $*" >> "{log}"
while [ "$1" != -o ]; do shift; done
out=$2
shift 2
test -z "$(cat {broken})" || {{ echo half > "$out/$(basename "$1")"; cat {broken}; exit 1; }}
for package in "$@"; do echo "$package" > "$out/$(basename "$package")"; done
"""


class Compiler:
    def __init__(self, folder: Path) -> None:
        self.log, self.broken = folder / "calls.log", folder / "broken"
        self.broken.write_text("")
        folder.joinpath("go").write_text(GO.format(log=self.log, broken=self.broken))
        folder.joinpath("go").chmod(0o755)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    monkeypatch.setenv("VOICE_OPERATOR_CACHE", str(tmp_path / "cache"))
    for module in (builds, terminal):
        monkeypatch.setattr(module, "PATH", f"{tmp_path}:{terminal.PATH}")
    return Compiler(tmp_path)


def test_programs_are_built_by_one_command(compiler: Compiler) -> None:
    binaries = builds.build_all(["kubelet", "helm", "kube-proxy", "versitygw"])
    assert {name: path.read_text().strip() for name, path in binaries.items()} == {
        "kubelet": "k8s.io/kubernetes/cmd/kubelet",
        "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
        "helm": "helm.sh/helm/v3/cmd/helm",
        "versitygw": "github.com/versity/versitygw/cmd/versitygw",
    }
    (call,) = compiler.calls()
    assert call.startswith(f"{builds.TOOLS} build ")
    assert "gitVersion=v1.34" in call
    assert "helm/v3/internal/version.version=v3" in call
    assert "main.Version=v" in call


def test_a_built_program_is_not_built_again(compiler: Compiler) -> None:
    first = builds.build("helm")
    assert builds.build_all(["helm", "kubeconform"])["helm"] == first
    assert "cmd/helm" not in compiler.calls()[1]


def test_a_failed_build_leaves_no_program_and_shows_the_compilers_words(compiler: Compiler) -> None:
    compiler.broken.write_text("undefined: Helm")
    with pytest.raises(DevError, match="undefined: Helm"):
        builds.build("helm")
    binary = builds.PROGRAMS["helm"].binary()
    assert list(binary.parent.iterdir()) == []
    compiler.broken.write_text("")
    assert builds.build("helm") == binary


def test_an_unknown_program_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DevError) as error:
        builds.build_all(["kubelet", "minikube"])
    assert "minikube" in error.value.problem
    assert "kubelet" in error.value.remedy
