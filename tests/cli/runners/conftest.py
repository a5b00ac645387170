"""What `make test-forges` shares: an installation, the programs that run pipelines, and a repository for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dev import forges
from tests.cli.conftest import Checkout
from tests.cli.runners.forge import Forge
from tests.cli.runners.github import GitHub
from tests.cli.runners.gitlab import GitLab
from tests.cli.runners.jenkins import Jenkins
from tests.cli.studio import PREFIX, a_studio
from tests.faults.lab import Lab

KINDS = {"gitlab": GitLab, "github": GitHub, "jenkins": Jenkins}


@pytest.fixture(scope="session")
def programs() -> dict[str, str]:
    """What runs each pipeline; found before a test has a home of its own, which has no cache of programs."""
    return {"gitlab": str(forges.gitlab_ci_local()), "github": str(forges.act()), "jenkins": forges.jenkins()}


@pytest.fixture(scope="session")
def gitops_program() -> Path:
    return forges.gitops()


@pytest.fixture(scope="module")
def lab(
    user: object, control_plane: Path, s3: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    with a_studio(control_plane, s3, tmp_path_factory.mktemp("studio")) as installation:
        yield installation


@pytest.fixture
def make_forge(  # noqa: PLR0917 -- pytest's fixtures
    programs: dict[str, str], checkout: Checkout, lab: Lab, repository: Path, cluster: None, bucket: object
) -> Callable[[str], Forge]:
    """Make the checkout one of a kind of forge, with its pipeline committed."""

    def make(kind: str) -> Forge:
        forge = KINDS[kind](programs[kind], checkout, repository / "ci", lab.namespace, PREFIX)
        checkout.commit("the pipeline")
        return forge

    return make
