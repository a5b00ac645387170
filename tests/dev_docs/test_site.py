"""The site builds with every link leading somewhere, and its references miss nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dev.docs import reference
from dev.docs.registries import all_registries
from dev.docs.schema_pages import resource_page

REPOSITORY = Path(__file__).resolve().parents[2]

SOURCES = [
    *(REPOSITORY / "operator/src/voice_operator/reconcile").rglob("*.py"),
    *(REPOSITORY / "operator/src/voice_operator").glob("*.py"),
    *(REPOSITORY / "operator/src/voice_operator/cluster").glob("*.py"),
    *(REPOSITORY / "trainer/src/voice_trainer").rglob("*.py"),
]
# Kinds and values of Kubernetes and of our own API, and codes of S3.
NO_REASONS = frozenset(
    """
    VoiceModel VoiceRevision VoiceServer VoiceList VoiceFolder CustomResourceDefinition DeleteOptions BearerToken
    IfNotPresent PodScheduled StageName ErrImagePull ImagePullBackOff InvalidImageName ErrImageNeverPull
    ImageInspectError NoSuchKey NoSuchObject ResourceNotFound TooLarge CreateContainerConfigError ErrorDetails OnDemand
    SpotThenOnDemand DisruptionTarget ContainerCreating PodInitializing FailedMount FailedAttachVolume FailedMapVolume
    TimedOut InvalidAnswer OrderedDict FloatStorage QuotaReserved AdmissionCheck AdmissionGated PodsReadyTimeout
    """.split()  # noqa: SIM905 -- a list of twenty words reads better as text
)


def test_every_reason_in_the_code_is_documented_and_none_other() -> None:
    documented = {name for group in reference.reasons().values() for name in group}
    found = reference.reason_literals(SOURCES) - NO_REASONS
    assert found - documented == set()
    one_word = {name for name in documented if not any(letter.isupper() for letter in name[1:])}
    assert documented - found - one_word - set(reference.reasons()["Condition types"]) == set()


@pytest.mark.parametrize("kind", ["voicemodels", "voicerevisions", "voiceservers"])
def test_every_field_of_a_resource_is_on_its_page(kind: str) -> None:
    crd = yaml.safe_load((REPOSITORY / "crds" / f"{kind}.voice.sovits.dev.yaml").read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    page = resource_page(crd)

    def names(field: dict[str, object], path: str) -> set[str]:
        found = {path}
        for name, inner in field.get("properties", {}).items():
            found |= names(inner, f"{path}.{name}")
        for name, inner in field.get("items", {}).get("properties", {}).items():
            found |= names(inner, f"{path}[].{name}")
        return found

    expected = names(schema["properties"]["spec"], "spec") - {"spec"}
    beside = {"review.decisions", "review.decisions[].by"} if kind == "voicerevisions" else set()
    expected |= beside
    assert [name for name in sorted(expected) if f"`{name}`" not in page] == []


def test_every_metric_has_a_help_text() -> None:
    for program, registry in all_registries().items():
        missing = [family.name for family in registry.collect() if not family.documentation.strip()]
        assert missing == [], program


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    start = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "Voices as Kubernetes resources" in start
    assert (tmp_path / "site" / "reference" / "voicemodel.html").stat().st_size > 10_000


def test_the_classes_of_the_errors_are_on_the_page_of_reasons() -> None:
    page = reference.reasons_page()
    assert "| `BucketMissing` | There is no such bucket. |" in page
    assert "| `BaseRejected` |" in page
