"""Each image's build folder holds what its Dockerfile copies, and nothing else decides its tag."""

import re
import tomllib
from pathlib import Path

import pytest
from dev.images.recipes import RECIPES, Recipe

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def copied(recipe: Recipe) -> list[str]:
    """The files and folders that the Dockerfile takes from its build folder."""
    dockerfile = (REPOSITORY / recipe.dockerfile).read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@IMAGES
def test_everything_that_the_dockerfile_copies_is_in_the_build_folder(recipe: Recipe, tmp_path: Path) -> None:
    recipe.read().stage(tmp_path)
    assert copied(recipe)
    assert [source for source in copied(recipe) if not (tmp_path / source).exists()] == []


@IMAGES
def test_every_member_of_the_workspace_is_in_the_build_folder(recipe: Recipe, tmp_path: Path) -> None:
    # uv refuses a workspace whose members are missing.
    recipe.read().stage(tmp_path)
    workspace = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]["workspace"]
    for member in workspace["members"]:
        assert (tmp_path / member / "pyproject.toml").exists(), member


@IMAGES
def test_the_same_files_have_the_same_tag(recipe: Recipe) -> None:
    assert recipe.read().tag == recipe.read().tag
