"""Renders the chart, and checks what comes out against the schemas of the pinned Kubernetes and of our own CRDs."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

Document = dict[str, Any]

SYSTEM = "voice-system"
KEYS = {"accessKey": "key", "secretKey": "secret"}
CRDS = [f"{plural}.voice.sovits.dev" for plural in ("voicemodels", "voicerevisions", "voiceservers")]

KUBERNETES = "v1.34.4"
INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


@dataclass(frozen=True)
class Chart:
    """The chart and the helm that renders it, away from any cluster and from the user's own helm files."""

    helm: Path
    folder: Path
    home: Path
    rendered: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def run(self, *arguments: str | Path, values: Document | None = None) -> subprocess.CompletedProcess[str]:
        """Run helm, with ``values`` as a values file on standard input."""
        home = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.helm, *arguments, *([] if values is None else ["--values", "-"])],
            env=os.environ | home,
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
        )

    def template(self, values: Document | None = None, *flags: str) -> subprocess.CompletedProcess[str]:
        values = values or {}
        asked = json.dumps([values, flags])
        if asked not in self.rendered:  # many tests look at the same rendering from another side
            where = ("--namespace", "voice-system", "--kube-version", KUBERNETES)
            self.rendered[asked] = self.run("template", "voice-operator", self.folder, *where, *flags, values=values)
        return self.rendered[asked]

    def objects(self, values: Document | None = None, *flags: str) -> list[Document]:
        """Render and parse; a chart that does not render fails the test with helm's words."""
        rendered = self.template(values, *flags)
        assert rendered.returncode == 0, rendered.stderr
        return [document for document in yaml.safe_load_all(rendered.stdout) if document]

    def one(
        self, kind: str, values: Document | None = None, *flags: str, name: str = "voice-operator", namespace: str = ""
    ) -> Document:
        """Return the one object of that kind and name."""
        found = [
            item
            for item in self.objects(values, *flags)
            if item["kind"] == kind
            and item["metadata"]["name"] == name
            and namespace in ("", item["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} objects {kind} {namespace}/{name}"
        return found[0]

    def refusal(self, values: Document) -> str:
        """Return helm's words about values that it must refuse."""
        rendered = self.template(values)
        assert rendered.returncode != 0, "helm accepted the values"
        return rendered.stderr


@dataclass(frozen=True)
class Cluster:
    """kubectl and helm as administrator of a control plane of our own."""

    kubectl_binary: Path
    chart: Chart
    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.kubectl_binary, "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def get(self, *arguments: str) -> Any:
        answer = self.kubectl("get", *arguments, "-o", "json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def helm(self, verb: str, *arguments: str | Path, values: dict[str, Any] | None = None) -> str:
        given = {"storage": KEYS | {"secretNamespaces": ["studio"]}} | (values or {})
        with_values = verb in ("install", "upgrade")
        where = ("--kubeconfig", self.kubeconfig, "--namespace", SYSTEM)
        done = self.chart.run(verb, "voice-operator", *arguments, *where, values=given if with_values else None)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: dict[str, Any] | None = None) -> str:
        return self.helm("install", self.chart.folder, values=values)

    def upgrade(self, values: dict[str, Any] | None = None) -> str:
        return self.helm("upgrade", self.chart.folder, values=values)

    def server(self) -> Any:
        return self.get("vserver", "default", "-n", SYSTEM)

    def operator_may(self, verb: str, resource: str, namespace: str) -> bool:
        """Ask the API server's authorizer; ``resource`` may be `jobs`, `voicemodels.voice.sovits.dev` or `…/status`."""
        account = f"system:serviceaccount:{SYSTEM}:voice-operator"
        resource, _, sub = resource.partition("/")
        asked = self.kubectl("auth", "can-i", verb, resource, f"--subresource={sub}", "-n", namespace, "--as", account)
        return asked.stdout.strip() == "yes"

    def clear(self) -> None:
        """Uninstall, and delete what Helm keeps."""
        self.chart.run("uninstall", "voice-operator", "--kubeconfig", self.kubeconfig, "--namespace", SYSTEM)
        self.kubectl("delete", "crd", "--ignore-not-found", "--wait", *CRDS)


@pytest.fixture(scope="session")
def chart(tool: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tool("helm"), repository / "charts" / "voice-operator", tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def cluster(control_plane: Path, chart: Chart, tool: Callable[[str], Path]) -> Cluster:
    """A control plane with the namespaces that the design and the examples name, and without kinds of ours."""
    cluster = Cluster(tool("kubectl"), chart, control_plane)
    for namespace in (SYSTEM, "studio", "audiobooks"):
        cluster.kubectl("create", "namespace", namespace)
    cluster.clear()  # other tests put the CRDs there without Helm, and Helm would refuse to take them over
    return cluster


@pytest.fixture(scope="session")
def example_values(repository: Path) -> dict[str, Document]:
    """The values files of examples/, by what stands behind `values-`."""
    files = sorted((repository / "examples").glob("values-*.yaml"))
    return {file.stem.removeprefix("values-"): yaml.safe_load(file.read_text()) for file in files}


@pytest.fixture(scope="session")
def conforms(
    tool: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[list[Document]], list[str]]:
    """Return a function from objects to what kubeconform finds wrong with them; unknown fields are wrong too."""
    kubeconform = tool("kubeconform")
    schemas = tmp_path_factory.mktemp("schemas")
    for name, schema in [*_kubernetes_schemas(repository), *_crd_schemas(repository)]:
        (schemas / name).write_text(json.dumps(schema))
    location = f"{schemas}/{{{{ .ResourceKind }}}}-{{{{ .Group }}}}-{{{{ .ResourceAPIVersion }}}}.json"

    def check(objects: list[Document]) -> list[str]:
        checked = subprocess.run(
            [
                kubeconform,
                "-schema-location",
                location,
                "-skip",
                "ServiceMonitor,PrometheusRule,Route",
                "-output",
                "json",
                "-verbose",
            ],
            # JSON, which is YAML too: PyYAML writes the text "2e-4" without quotes, and Go would read a number.
            input="\n---\n".join(json.dumps(item) for item in objects),
            capture_output=True,
            text=True,
            check=False,
        )
        results = json.loads(checked.stdout)["resources"]
        assert len(results) == len(objects), checked.stderr
        wrong = [item for item in results if item["status"] not in ("statusValid", "statusSkipped")]
        return sorted(f"{item['kind']} {item['name']}: {item['msg']}" for item in wrong)  # it works in parallel

    return check


def _kubernetes_schemas(repository: Path) -> Iterator[tuple[str, Document]]:
    """Yield a schema per kind, from the Go module that the development cluster is built from."""
    downloaded = subprocess.run(
        ["go", "mod", "download", "-json", "k8s.io/kubernetes"],
        cwd=repository / "dev" / "tools",
        check=True,
        capture_output=True,
        text=True,
    )
    swagger = json.loads(
        (Path(json.loads(downloaded.stdout)["Dir"]) / "api" / "openapi-spec" / "swagger.json").read_text()
    )
    definitions = {name: _closed(schema) for name, schema in swagger["definitions"].items()}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    yield "definitions.json", {"definitions": definitions}
    for name, schema in swagger["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            yield (
                _file_name(kind["kind"], kind["group"], kind["version"]),
                {"$ref": f"definitions.json#/definitions/{name}"},
            )


def _crd_schemas(repository: Path) -> Iterator[tuple[str, Document]]:
    for file in sorted((repository / "crds").glob("*.yaml")):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object", "additionalProperties": True}
            yield _file_name(spec["names"]["kind"], spec["group"], version["name"]), _closed(schema)


def _file_name(kind: str, group: str, version: str) -> str:
    # The core group has no name; kubeconform takes its version instead.
    return f"{kind.lower()}-{group or version}-{version}.json"


def _closed(schema: Any) -> Any:
    """Return the schema with every object that lists its fields closed against others."""
    if not isinstance(schema, dict):  # additionalProperties may be a boolean
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string") is True:
        return INT_OR_STRING
    closed = {
        key: _closed(value) if key in ("items", "additionalProperties") else value for key, value in schema.items()
    }
    if "properties" in schema:
        closed["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        closed.setdefault("additionalProperties", False)
    return closed
