"""What the documentation promises exists: links, make targets, examples."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("charts/**/*.md"),
        *REPOSITORY.glob("dev/*.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named - known == set()


def test_the_readme_manifest_is_a_valid_voice() -> None:
    from voice_operator.api.voice_model import VoiceModelSpec  # noqa: PLC0415 -- one test of this file needs the operator

    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    manifest = yaml.safe_load(re.search(r"```yaml\n(.*?)```", readme, flags=re.DOTALL).group(1))
    assert VoiceModelSpec.model_validate(manifest["spec"]).language == "en"
