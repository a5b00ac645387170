"""Go programs built once from the modules that `dev/tools` pins, kept in the cache under their version."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import TOOLS, cache, exclusive_lock
from dev.terminal import PATH, run_long, step

KUBERNETES = "k8s.io/kubernetes"
ADDONS = TOOLS / "addons"
COREDNS = TOOLS / "coredns"


@dataclass(frozen=True)
class Program:
    """One program: its package, the module folder that pins it, and where it keeps its version."""

    name: str
    package: str
    module: str
    folder: Path
    usually: str
    version_variable: str = ""

    def version(self) -> str:
        """The version that the module pins."""
        if not self.module:
            return "v1"
        pinned = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", self.go_mod(), re.MULTILINE)
        if not pinned:
            raise DevError(f"{self.folder}/go.mod does not pin {self.module}", remedy="restore the file from git")
        return pinned[1]

    def go_mod(self) -> str:
        """The module's own words."""
        return (self.folder / "go.mod").read_text()

    def binary(self) -> Path:
        """Where the built program lies."""
        return cache() / "bin" / f"{self.name}-{self.version()}"

    def ldflags(self) -> str:
        """What the linker writes into the program: its version, and no debug tables."""
        version = self.version()
        flags = ["-s", "-w"]
        if self.module == KUBERNETES:
            # Without these every component calls itself v0.0.0-master, and clients refuse the version skew.
            major, minor = version.removeprefix("v").split(".")[:2]
            package = "k8s.io/component-base/version"
            values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            flags += [f"-X {package}.{name}={value}" for name, value in values.items()]
        elif self.version_variable:
            flags += [f"-X {self.version_variable}={version}"]
        return " ".join(flags)


def kubernetes(name: str, usually: str) -> Program:
    """One of Kubernetes' own programs."""
    return Program(name, f"{KUBERNETES}/cmd/{name}", KUBERNETES, TOOLS, usually)


def addon(name: str, package: str, module: str, version_variable: str) -> Program:
    """A tool from the second module."""
    return Program(name, package, module, ADDONS, "1 to 3 minutes cold", version_variable)


PROGRAMS = {
    program.name: program
    for program in (
        kubernetes("kube-apiserver", "5 to 8 minutes cold"),
        kubernetes("kube-controller-manager", "1 to 2 minutes cold"),
        kubernetes("kube-scheduler", "30 s after kube-apiserver"),
        kubernetes("kubelet", "1 to 2 minutes cold"),
        kubernetes("kube-proxy", "30 s after kube-apiserver"),
        kubernetes("kubectl", "1 minute cold"),
        addon("helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", "helm.sh/helm/v3/internal/version.version"),
        addon(
            "versitygw", "github.com/versity/versitygw/cmd/versitygw", "github.com/versity/versitygw", "main.Version"
        ),
        addon(
            "kubeconform",
            "github.com/yannh/kubeconform/cmd/kubeconform",
            "github.com/yannh/kubeconform",
            "main.version",
        ),
        Program("coredns", "github.com/coredns/coredns", "github.com/coredns/coredns", COREDNS, "3 to 4 minutes cold"),
        Program("pause", "./pause", "", TOOLS, "a second"),
    )
}


def build(name: str) -> Path:
    """Return the program's binary, building it first if this version was never built here."""
    if name not in PROGRAMS:
        raise DevError(f"unknown program {name!r}", remedy=f"choose from: {', '.join(PROGRAMS)}")
    program = PROGRAMS[name]
    binary = program.binary()
    if binary.exists():
        return binary
    with exclusive_lock(cache() / "locks" / "go", "building Go programs"):
        if not binary.exists():
            compile_to(binary, program)
    return binary


def compile_to(binary: Path, program: Program) -> None:
    """Build the program; the finished file appears at once or not at all."""
    if not shutil.which("go", path=PATH):
        raise DevError("Go is needed to build Kubernetes", remedy="install Go 1.26 or newer from https://go.dev/dl")
    binary.parent.mkdir(parents=True, exist_ok=True)
    unfinished = binary.with_name(f"{binary.name}.{os.getpid()}.part")
    command: list[str | Path] = [
        "go",
        "build",
        "-trimpath",
        "-ldflags",
        program.ldflags(),
        "-o",
        unfinished,
        program.package,
    ]
    with step(f"building {program.name} {program.version()}", program.usually):
        try:
            run_long(
                command,
                cwd=program.folder,
                # Static, so that the same file runs in an image that holds nothing else.
                env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
                log=cache() / "logs" / f"build-{program.name}.log",
                remedy="check that the Go module proxy answers (go env GOPROXY), then run it again",
            )
            unfinished.replace(binary)
        finally:
            unfinished.unlink(missing_ok=True)


def kubectl() -> Path:
    """The kubectl on PATH, or one built here."""
    found = shutil.which("kubectl", path=PATH)
    return Path(found) if found else build("kubectl")
