"""Writes the CRDs from the types of voice_operator.api: ``python -m voice_operator.crds --out crds``."""

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from voice_operator.api.schema import GROUP, VALIDATIONS, VERSION, name_rule
from voice_operator.api.structural import structural_schema
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_revision import RevisionExports, RevisionReview, VoiceRevisionSpec, VoiceRevisionStatus
from voice_operator.api.voice_server import VoiceServerSpec, VoiceServerStatus
from voice_operator.api.voice_status import VoiceModelStatus


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``; ``wide`` shows it only with -o wide."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def document(self) -> dict[str, Any]:
        """Return the column as the CRD states it."""
        return {"name": self.name, "type": self.type, "jsonPath": self.path} | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True)
class Kind:
    """The parts of a CRD besides the types of spec and status."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    spec_rules: tuple[tuple[str, str], ...] = ()
    checks_name: bool = True
    scale: dict[str, str] = field(default_factory=dict)
    beside: dict[str, type[BaseModel]] = field(default_factory=dict)  # objects of lists, beside spec and status

    @property
    def name(self) -> str:
        """Name of the CRD object."""
        return f"{self.plural}.{GROUP}"


_NUMBER = re.compile(r"^[-+.0-9][-+.0-9eE_]*$")

READY = Column("READY", '.status.conditions[?(@.type=="Ready")].status')
REASON = Column("REASON", '.status.conditions[?(@.type=="Ready")].reason', wide=True)
AGE = Column("AGE", ".metadata.creationTimestamp", "date")

KINDS = (
    Kind(
        kind="VoiceModel",
        plural="voicemodels",
        short_names=("voice", "voices"),
        description="A speaker's voice: trained from recordings with consent, checked against gates, then served.",
        spec=VoiceModelSpec,
        status=VoiceModelStatus,
        columns=(
            READY,
            Column("PHASE", ".status.phase"),
            Column("REVISION", ".status.activeRevision"),
            Column("PROGRESS", ".status.progress.percent", "integer"),
            Column("PESQ", ".status.scores.pesq"),
            Column("STOI", ".status.scores.stoi"),
            AGE,
            Column("STAGE", ".status.progress.stage", wide=True),
            Column("SERVER", ".status.server", wide=True),
            Column("URI", ".status.artifacts.uri", wide=True),
            REASON,
        ),
    ),
    Kind(
        kind="VoiceRevision",
        plural="voicerevisions",
        short_names=("vrev",),
        description="The immutable result of one training: artifacts by digest, scores, consent. Made by the operator.",
        spec=VoiceRevisionSpec,
        status=VoiceRevisionStatus,
        columns=(
            Column("VOICE", ".spec.voiceModel"),
            Column("STATE", ".status.state"),
            Column("APPROVED", ".status.approvals"),
            Column("PESQ", ".spec.evaluation.scores.pesq"),
            Column("STOI", ".spec.evaluation.scores.stoi"),
            AGE,
            Column("URI", ".spec.artifacts.uri", wide=True),
            Column("DIGEST", ".spec.artifacts.digest", wide=True),
            Column("REVIEW", ".status.review", wide=True),
        ),
        beside={"review": RevisionReview, "exports": RevisionExports},
        spec_rules=(("self == oldSelf", "spec of a VoiceRevision never changes; change the VoiceModel instead"),),
        checks_name=False,
    ),
    Kind(
        kind="VoiceServer",
        plural="voiceservers",
        short_names=("vserver",),
        description="Pods that share one base and serve many voices over HTTP.",
        spec=VoiceServerSpec,
        status=VoiceServerStatus,
        columns=(
            READY,
            Column("BASE", ".spec.base"),
            Column("REPLICAS", ".status.readyReplicas", "integer"),
            Column("VOICES", ".status.voiceCount", "integer"),
            AGE,
            Column("ENDPOINT", ".status.endpoint", wide=True),
            REASON,
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
)


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of ``kind``."""
    spec = structural_schema(kind.spec)
    if kind.spec_rules:
        spec[VALIDATIONS] = [{"rule": rule, "message": message} for rule, message in kind.spec_rules]
    schema: dict[str, Any] = {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            **{name: _with_lists(structural_schema(model)) for name, model in kind.beside.items()},
            "status": structural_schema(kind.status),
        },
    }
    if kind.checks_name:
        rule, message = name_rule(kind.kind)
        schema[VALIDATIONS] = [{"rule": rule, "message": message}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["sovits"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}} | ({"scale": kind.scale} if kind.scale else {}),
                    "additionalPrinterColumns": [column.document() for column in kind.columns],
                }
            ],
        },
    }


def _with_lists(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema whose lists are there from the start: a JSON patch can append to them at once."""
    empty: dict[str, Any] = {name: [] for name in schema["properties"]}
    properties = {name: {**part, "default": []} for name, part in schema["properties"].items()}
    return {**schema, "properties": properties, "default": empty}


def manifest(kind: Kind) -> str:
    """Return the CRD as YAML."""
    head = "# Generated by `python -m voice_operator.crds` from voice_operator.api; do not edit.\n"
    text: str = yaml.dump(crd(kind), Dumper=_PlainDumper, sort_keys=False, width=140, allow_unicode=True)
    return head + text


def chart_template(kind: Kind) -> str:
    """Return the CRD as a Helm template that obeys .Values.crds.enabled and .Values.crds.keep (on uninstall)."""
    name_line = f"metadata:\n  name: {kind.name}\n"
    annotations = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    return (
        "{{- if .Values.crds.enabled }}\n"
        + manifest(kind).replace(name_line, name_line + annotations, 1)
        + "{{- end }}\n"
    )


def write(out: Path, chart_dir: Path | None) -> tuple[Path, ...]:
    """Write the CRDs into ``out`` and, as templates, into ``chart_dir``; return the paths written."""
    written = []
    for kind in KINDS:
        for folder, text in ((out, manifest(kind)), (chart_dir, chart_template(kind))):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{kind.name}.yaml"
                path.write_text(text)
                written.append(path)
    return tuple(written)


class _PlainDumper(yaml.SafeDumper):
    """Writes YAML that people review and that Go reads as we do: no anchors, quotes around what looks like a number."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- PyYAML's signature
        """Never use an anchor."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Quote "2e-4": a string to PyYAML (YAML 1.1), a number to the API server."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if _NUMBER.match(data) else None)


_PlainDumper.add_representer(str, _PlainDumper.represent_str)


def main(arguments: list[str] | None = None) -> None:
    """Write the CRDs into folders, or to standard output when none is named."""
    parser = argparse.ArgumentParser(prog="voice-operator crds", description="Write the CustomResourceDefinitions.")
    parser.add_argument("--out", type=Path, help="folder for the CRDs; without it they go to standard output")
    parser.add_argument("--chart-dir", type=Path, help="folder for the same CRDs as Helm templates")
    options = parser.parse_args(arguments)
    if options.out is None:
        sys.stdout.write("---\n".join(manifest(kind) for kind in KINDS))
        return
    for path in write(options.out, options.chart_dir):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
