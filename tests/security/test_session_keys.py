"""Keys of one voice and one hour, from a real token service (MinIO): what they reach, and that they are renewed."""

import asyncio
import base64
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dev.ports import free_port
from tests.operator.manifests.test_manifests import a_voice, some_settings
from tests.operator.test_voices import Scene, run
from tests.support.waiting import wait_for

import voice_store
from voice_operator.cluster import session_keys
from voice_operator.cluster.session_keys import SessionMinter
from voice_operator.errors import StoreError
from voice_operator.manifests.session_policy import session_policy
from voice_operator.settings import SessionKeys, Settings
from voice_store import AccessDenied
from voice_store.sessions import TokenService

pytestmark = [pytest.mark.security, pytest.mark.slow]

ROOT = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operator-secret", "AWS_REGION": "us-east-1"}
FOLDERS = ("s3://voices/studio/alice", "s3://voices/studio/bob", "s3://data/alice", "s3://data/bob")
SECRET = "alice-3fa9c2d1-train"


@pytest.fixture(scope="module")
def environment(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MinIO with two voices' files, and the variables of the operator's own keys."""
    folder, port = tmp_path_factory.mktemp("minio"), free_port()
    variables = {"MINIO_ROOT_USER": ROOT["AWS_ACCESS_KEY_ID"], "MINIO_ROOT_PASSWORD": ROOT["AWS_SECRET_ACCESS_KEY"]}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [tool("minio"), "server", "--address", f"127.0.0.1:{port}", "--quiet", folder / "data"],
            env=variables | {"HOME": str(folder), "MINIO_BROWSER": "off", "CI": "true"},
            stdout=log,
            stderr=log,
        )
    found = ROOT | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
    try:
        wait_for("MinIO", lambda: _answers(found), 60)
        for uri in ("s3://voices", "s3://data"):
            voice_store.open_store(uri, found).make_root()
        for uri in (*FOLDERS, "s3://voices/datasets/studio/alice"):
            voice_store.open_store(uri, found).write("clip.wav", b"RIFF")
        yield found
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(environment: dict[str, str]) -> bool:
    try:
        voice_store.open_store("s3://none", environment).exists("x")
    except voice_store.StoreUnavailable:
        return False
    except voice_store.StoreError:
        return True
    return True


def settings() -> Settings:
    return some_settings(storage={"uri": "s3://voices", "sessionKeys": SessionKeys(enabled=True).model_dump()})


@pytest.fixture
def keys(environment: dict[str, str]) -> Callable[[str], dict[str, str]]:
    """Variables with keys of alice's Job in a stage."""

    def mint(stage: str) -> dict[str, str]:
        minter = SessionMinter(TokenService(environment=environment), 900, lambda: datetime.now(UTC))
        policy = session_policy(a_voice(), stage, settings(), "us-east-1")  # type: ignore[arg-type]
        files = asyncio.run(minter.files("studio", SECRET, policy))
        minter.close()
        return files

    return mint


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_a_jobs_keys_read_and_write_the_voices_own_folder(keys: Callable[[str], dict[str, str]], stage: str) -> None:
    own = voice_store.open_store("s3://voices/studio/alice", keys(stage))
    own.write("hash/clips.json", b"[]")
    assert own.read("hash/clips.json", limit=10) == b"[]"
    assert "hash/clips.json" in {entry.key for entry in own.list("")}
    own.delete_all(["hash/clips.json"])
    assert not own.exists("hash/clips.json")


@pytest.mark.parametrize(
    ("stage", "uri"),
    [
        pytest.param("prepare", "s3://voices/studio/bob", id="another voice of the namespace"),
        pytest.param("prepare", "s3://data/bob", id="another voice's recordings"),
        pytest.param("train", "s3://data/alice", id="recordings, after they were prepared"),
        pytest.param("evaluate", "s3://voices/studio", id="the namespace's whole folder"),
    ],
)
def test_a_jobs_keys_reach_nothing_else(keys: Callable[[str], dict[str, str]], stage: str, uri: str) -> None:
    store = voice_store.open_store(uri, keys(stage))
    with pytest.raises(AccessDenied):
        store.read("clip.wav", limit=10)
    with pytest.raises(AccessDenied):
        list(store.list(""))
    with pytest.raises(AccessDenied):
        store.write("clip.wav", b"mine")
    with pytest.raises(AccessDenied):
        store.delete_all(["clip.wav"])


def test_recordings_are_read_and_not_written(keys: Callable[[str], dict[str, str]]) -> None:
    recordings = voice_store.open_store("s3://data/alice", keys("prepare"))
    assert recordings.read("clip.wav", limit=10) == b"RIFF"
    with pytest.raises(AccessDenied):
        recordings.write("clip.wav", b"mine")


def test_keys_are_due_after_half_of_their_time(environment: dict[str, str]) -> None:
    now = [datetime.now(UTC)]
    minter = SessionMinter(TokenService(environment=environment), 900, lambda: now[0])
    assert minter.seconds_left("studio", SECRET) == 0  # a process that has just begun knows of none
    policy = session_policy(a_voice(), "train", settings(), "us-east-1")
    first = asyncio.run(minter.files("studio", SECRET, policy))
    assert 440 < minter.seconds_left("studio", SECRET) <= 450
    now[0] += timedelta(seconds=460)
    assert minter.seconds_left("studio", SECRET) == 0
    assert asyncio.run(minter.files("studio", SECRET, policy)) != first
    minter.close()


def test_a_client_with_a_folder_takes_renewed_keys(keys: Callable[[str], dict[str, str]], tmp_path: Path) -> None:
    def mount(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)

    mount(keys("train") | {"AWS_SESSION_TOKEN": "of another key"})
    own = voice_store.open_store("s3://voices/studio/alice", {"VOICE_S3_CREDENTIALS_DIR": str(tmp_path)})
    with pytest.raises(voice_store.StoreError):
        own.read("clip.wav", limit=10)
    mount(keys("train"))
    assert own.read("clip.wav", limit=10) == b"RIFF"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the token service .* answers AccessDenied", id="wrong keys"),
        pytest.param({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "the token service http://127.0.0.1:9", id="away"),
    ],
)
def test_a_service_that_gives_none_is_named(
    environment: dict[str, str], changes: dict[str, str], sentence: str
) -> None:
    service = TokenService(environment=environment | changes, transport=voice_store.Transport(1, 5, 0))
    minter = SessionMinter(service, 900, lambda: datetime.now(UTC))
    with pytest.raises(StoreError, match=sentence) as refused:
        asyncio.run(minter.files("studio", SECRET, session_policy(a_voice(), "train", settings(), "us-east-1")))
    minter.close()
    assert "wrong" not in str(refused.value)


STORAGE = {"uri": "s3://voices", "sessionKeys": {"enabled": True, "duration": "15m"}}


def keys_of_job(scene: Scene) -> dict[str, str]:
    """The files of the Secret that was written last."""
    (secret,) = [item for (kind, _, _), item in scene.server.objects.items() if kind == "secrets"]
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def test_a_jobs_secret_has_keys_that_work_and_are_renewed_while_it_runs(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(dataset={"uri": "s3://voices/datasets/studio/alice"})
        await scene.passes(1)
        first = keys_of_job(scene)
        (job,) = [item for (kind, _, _), item in scene.server.objects.items() if kind == "jobs"]
        scene.voices._cluster.caches.jobs.update(job)
        assert voice_store.open_store("s3://voices/studio/alice", first).read("clip.wav") == b"RIFF"
        await scene.passes(1)
        assert keys_of_job(scene) == first, "they last"
        monkeypatch.setattr(session_keys.SessionMinter, "seconds_left", lambda *_: 0)
        await scene.passes(1)
        renewed = keys_of_job(scene)
        assert renewed["AWS_ACCESS_KEY_ID"] != first["AWS_ACCESS_KEY_ID"]
        assert renewed["keys.json"] == first["keys.json"]
        assert voice_store.open_store("s3://voices/studio/alice", renewed).read("clip.wav") == b"RIFF"

    run(scenario, storage=STORAGE, environment=environment)


def test_no_job_starts_without_keys_and_the_voice_says_why(environment: dict[str, str]) -> None:
    away = STORAGE | {"sessionKeys": {"enabled": True, "endpoint": "http://127.0.0.1:9"}}

    async def scenario(scene: Scene) -> None:
        scene.put(dataset={"uri": "s3://voices/datasets/studio/alice"})
        await scene.passes(1)
        assert {kind for kind, _, _ in scene.server.objects} == {"voicemodels", "configmaps"}
        conditions = scene.server.objects["voicemodels", "studio", "alice"]["status"]["conditions"]
        (ready,) = [one for one in conditions if one["type"] == "Ready"]
        assert ready["reason"] == "StoreError"
        assert "no keys of the store for the next Job: the token service http://127.0.0.1:9" in ready["message"]

    run(scenario, storage=away, environment=environment)
