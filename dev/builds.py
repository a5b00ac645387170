"""Go programs built once from the modules in `dev/tools`, kept in the cache under their version."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import TOOLS, cache, exclusive_lock
from dev.terminal import PATH, run_long, step

KUBERNETES = "k8s.io/kubernetes"
KUEUE = "sigs.k8s.io/kueue"


@dataclass(frozen=True)
class Program:
    """One program: its package, the module that `dev/tools` pins for it, and the variable that holds its version."""

    name: str
    package: str
    module: str
    cold_minutes: float
    """Of two idle cores, on top of what the programs before it in `PROGRAMS` compiled."""
    version_variable: str = ""
    folder: Path = TOOLS
    """The module that pins it."""

    def version(self) -> str:
        """The version that the module pins."""
        if not self.module:
            return "v1"
        go_mod = (self.folder / "go.mod").read_text()
        pinned = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", go_mod, re.MULTILINE)
        if not pinned:
            raise DevError(f"{self.folder}/go.mod does not pin {self.module}", remedy="restore the file from git")
        return pinned[1]

    def binary(self) -> Path:
        """The path of the built program in the cache."""
        return cache() / "bin" / f"{self.name}-{self.version()}"

    def variables(self) -> list[str]:
        """The linker's flags that write the version into the program."""
        version = self.version()
        if self.module == KUBERNETES:
            # Without these every component calls itself v0.0.0-master, and clients refuse the version skew.
            major, minor = version.removeprefix("v").split(".")[:2]
            package = "k8s.io/component-base/version"
            values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            return [f"-X {package}.{name}={value}" for name, value in values.items()]
        return [f"-X {self.version_variable}={version}"] if self.version_variable else []


def kubernetes(name: str, cold_minutes: float) -> Program:
    """One of Kubernetes' own programs."""
    return Program(name, f"{KUBERNETES}/cmd/{name}", KUBERNETES, cold_minutes)


PROGRAMS = {
    program.name: program
    for program in (
        kubernetes("kube-apiserver", 6),
        kubernetes("kube-controller-manager", 1.5),
        kubernetes("kube-scheduler", 0.5),
        kubernetes("kubelet", 1.5),
        kubernetes("kube-proxy", 0.5),
        kubernetes("kubectl", 1),
        Program("helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", 0.5, "helm.sh/helm/v3/internal/version.version"),
        Program(
            "versitygw",
            "github.com/versity/versitygw/cmd/versitygw",
            "github.com/versity/versitygw",
            1,
            "main.Version",
        ),
        Program(
            "kubeconform",
            "github.com/yannh/kubeconform/cmd/kubeconform",
            "github.com/yannh/kubeconform",
            0.5,
            "main.version",
        ),
        Program("coredns", "./coredns", "github.com/coredns/coredns", 0.5),
        Program("pause", "./pause", "", 0),
        Program("minio", "github.com/minio/minio", "github.com/minio/minio", 8, folder=TOOLS / "minio"),
        Program("kueue", f"{KUEUE}/cmd/kueue", KUEUE, 4, folder=TOOLS / "kueue"),
        Program("act", "github.com/nektos/act", "github.com/nektos/act", 2, "main.version", TOOLS / "act"),
        Program("gitops", ".", "github.com/argoproj/gitops-engine", 3, folder=TOOLS / "gitops"),
    )
}


def build(name: str) -> Path:
    """Return the program's binary, building it first if this version was never built here."""
    return build_all([name])[name]


def build_all(names: Sequence[str]) -> dict[str, Path]:
    """Return the programs' binaries; those that are missing are built, by one `go build` for each module.

    One command compiles a package of one program while another program's links: linking alone keeps one core busy.

    Raises:
        DevError: a name is unknown, Go is missing, or a build failed.
    """
    for name in names:
        if name not in PROGRAMS:
            raise DevError(f"unknown program {name!r}", remedy=f"choose from: {', '.join(PROGRAMS)}")
    binaries = {name: PROGRAMS[name].binary() for name in names}
    if all(binary.exists() for binary in binaries.values()):
        return binaries
    with exclusive_lock(cache() / "locks" / "go", "building Go programs"):
        missing = [PROGRAMS[name] for name, binary in binaries.items() if not binary.exists()]
        for folder in dict.fromkeys(program.folder for program in missing):
            compile_programs([program for program in missing if program.folder == folder])
    return binaries


def compile_programs(programs: Sequence[Program]) -> None:
    """Build programs of one module; each finished file appears at once or not at all."""
    if not shutil.which("go", path=PATH):
        raise DevError("Go is needed to build Kubernetes", remedy="install Go 1.26 or newer from https://go.dev/dl")
    names = ", ".join(f"{program.name} {program.version()}" for program in programs)
    minutes = max(1, round(sum(program.cold_minutes for program in programs)))
    first = programs[0]
    first.binary().parent.mkdir(parents=True, exist_ok=True)
    # A variable of a package that is not in a program is ignored, so one set of flags fits all.
    variables = dict.fromkeys(flag for program in programs for flag in program.variables())
    with (
        step(f"building {names}", f"about {minutes} min cold"),
        # Beside the finished programs, so that moving them is a rename.
        tempfile.TemporaryDirectory(dir=first.binary().parent, prefix=".building-") as unfinished,
    ):
        # Debug information, which the linker would drop, is not even compiled: a fifth of the processor's time.
        command = ["go", "build", "-trimpath", "-gcflags=all=-dwarf=false"]
        command += ["-ldflags", " ".join(["-s", "-w", *variables]), "-o", f"{unfinished}/"]
        run_long(
            [*command, *(program.package for program in programs)],
            cwd=first.folder,
            # Static, so that the same file runs in an image that holds nothing else.
            env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
            log=cache() / "logs" / f"build-{first.name}.log",
            remedy="check that the Go module proxy answers (go env GOPROXY), then run it again",
        )
        for program in programs:
            (Path(unfinished) / program.name).replace(program.binary())


def kubectl() -> Path:
    """The kubectl on PATH, or one built here."""
    found = shutil.which("kubectl", path=PATH)
    return Path(found) if found else build("kubectl")
