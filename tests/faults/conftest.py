"""A control plane, an S3 server, and for each scenario the labs it asks for; what it counted is kept."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.faults.bucket import Bucket
from tests.faults.client import Client
from tests.faults.lab import REVOCATION_SECONDS, Lab
from tests.faults.life import Life, faultless_life
from tests.faults.results import Result, sentence, write
from tests.faults.s3_proxy import S3Proxy
from tests.faults.scale import Scale, scale
from tests.support.s3_server import KEYS, s3_server
from tests.support.waiting import wait_for

RESULTS = pytest.StashKey[list[Result]]()
OUTCOME = pytest.StashKey[str]()
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def admin(control_plane: Path, repository: Path) -> Path:
    """A kubeconfig of an API server that has our kinds."""
    client = Client(control_plane, "default")
    kind = "customresourcedefinitions"
    for path in sorted((repository / "crds").iterdir()):
        client.apply(yaml.safe_load(path.read_text()))
        wait_for(f"the CRD {path.stem}", lambda: _is_established(client.get(kind, path.stem)))  # noqa: B023
    client.close()
    return control_plane


@pytest.fixture(scope="session")
def s3(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of an S3 server, and the folder of its bucket `voices`."""
    folder = tmp_path_factory.mktemp("s3") / "data"
    (folder / "voices").mkdir(parents=True)
    with s3_server(tool("versitygw"), folder) as port:
        yield port, folder / "voices"


@pytest.fixture(scope="session")
def repetitions() -> Scale:
    return scale()


@pytest.fixture(scope="session")
def faultless(
    request: pytest.FixtureRequest,
    admin: Path,
    s3: tuple[int, Path],
    tmp_path_factory: pytest.TempPathFactory,
    repetitions: Scale,
) -> Life:
    """A life without faults, which every life with faults must resemble."""
    result = Result("an life without faults")
    request.config.stash[RESULTS].append(result)
    running = Scenario(result, admin, s3, tmp_path_factory.mktemp("faultless"), repetitions)
    try:
        started = time.monotonic()
        life = faultless_life(running.lab(), "faultless")
        running.took(time.monotonic() - started)
        running.rest()
    finally:
        violations = running.close()
    assert violations == []
    return life


class Scenario:
    """The labs of one test, and what it counts."""

    def __init__(self, result: Result, admin: Path, s3: tuple[int, Path], folder: Path, repetitions: Scale) -> None:
        self.repetitions = repetitions
        self._result = result
        self._admin = admin
        self._s3 = s3
        self._folder = folder
        self._labs: list[tuple[Lab, S3Proxy]] = []

    def lab(self, *, bound_seconds: float = REVOCATION_SECONDS, storage: str = "s3", **settings: Any) -> Lab:
        """Start a lab; ``settings`` replace those of the operator's configuration file."""
        number = next(NUMBERS)
        namespace, folder = f"faults-{number}", self._folder / str(number)
        folder.mkdir()
        port, behind = self._s3
        s3 = S3Proxy(port)
        s3.__enter__()
        uri = f"s3://voices/{namespace}" if storage == "s3" else f"file://{folder / 'bucket'}"
        lab = Lab(
            admin=self._admin,
            namespace=namespace,
            folder=folder,
            bucket=Bucket(uri, behind / namespace if storage == "s3" else folder / "bucket"),
            s3=s3,
            environment={"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3.port}", **KEYS},
            settings=settings,
        )
        self._labs.append((lab, s3))
        lab.start(bound_seconds=bound_seconds)
        return lab

    def took(self, seconds: float) -> None:
        """Count one repetition, and the seconds until its wanted state was reached."""
        self._result.took(seconds)

    def rest(self) -> None:
        """Nothing changes any more, so nothing may be written."""
        for lab, _ in self._labs:
            for entry in lab.writes_at_rest(self.repetitions.rest_seconds):
                self._result.violations.append(f"written at rest: {' '.join(entry.request.target)}")

    def close(self) -> list[str]:
        """Stop all labs; return every violation."""
        for lab, s3 in self._labs:
            self._result.violations += lab.close()
            s3.__exit__()
        return self._result.violations


@pytest.fixture
def scenario(
    request: pytest.FixtureRequest, admin: Path, s3: tuple[int, Path], tmp_path: Path, repetitions: Scale
) -> Iterator[Scenario]:
    """What a scenario needs. At its end nothing is written at rest, and nothing has happened that never must."""
    result = Result(sentence(request.node.name))
    request.config.stash[RESULTS].append(result)
    running = Scenario(result, admin, s3, tmp_path, repetitions)
    try:
        yield running
        passed = request.node.stash.get(OUTCOME, "") == "passed"
        if passed:
            running.rest()
    finally:
        violations = running.close()
    if passed:
        assert violations == []
    else:
        violations.append("the scenario failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[OUTCOME] = report.outcome
    return report


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if results := session.config.stash[RESULTS]:
        write(results, Path(os.environ.get("FAULTS_OUT", session.config.rootpath / "out" / "faults")))


def _is_established(definition: dict[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
