"""The configuration file: small, typed, and every mistake is named by its key."""

from pathlib import Path

import pytest
import yaml

from voice_operator.cluster.store import open_store
from voice_operator.errors import InvalidSettings
from voice_operator.settings import Settings

SMALLEST = {
    "images": {"trainer": "trainer:1", "inference": "inference:1"},
    "bases": {"tiny": {"uri": "embedded:tiny"}},
    "storage": {"uri": "s3://voices/"},
}


def load(tmp_path: Path, content: object, namespace: str = "") -> Settings:
    path = tmp_path / "config.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return Settings.load(path, namespace=namespace)


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, SMALLEST)
    assert settings.storage.uri == "s3://voices"
    assert settings.workers == 8


def test_the_pod_knows_its_namespace_better_than_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, SMALLEST | {"namespace": "a"}, namespace="b").namespace == "b"


def test_the_operators_own_namespace_is_always_watched_too(tmp_path: Path) -> None:
    assert load(tmp_path, SMALLEST | {"watchNamespaces": ["studio"], "namespace": "own"}).namespaces == (
        "own",
        "studio",
    )
    assert load(tmp_path, SMALLEST).namespaces == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"imagse": {}}, "imagse: unknown field; correct its spelling", id="a misspelt key"),
        pytest.param({"images": {"trainer": "t"}}, "images.inference: missing; add it", id="a missing key"),
        pytest.param({"bases": {}}, "bases: {}: must have at least 1 item", id="no base"),
        pytest.param({"recogniser": {"uri": "s3://x/y"}}, "recogniser.digest", id="a recogniser that is not pinned"),
        pytest.param(
            {"recogniser": {"uri": "s3://x/y", "digest": "sha256:" + "1" * 64, "volume": {"emptyDir": {}}}},
            "recogniser.uri is 's3://x/y' and recogniser.volume is given: a volume is mounted at /recogniser",
            id="a recogniser in two places",
        ),
        pytest.param(
            {"bases": {"x": {"uri": "u", "digest": "md5:1"}}}, "bases.x.digest", id="a digest of another kind"
        ),
        pytest.param({"storage": {"uri": "ftp://x"}}, "storage.uri", id="a store nobody knows"),
        pytest.param({"workers": 0}, "workers: 0: must be greater than or equal to 1", id="no workers"),
        pytest.param({"operatorUrl": "operator:8080"}, "operatorUrl", id="an address without a scheme"),
        pytest.param({"inference": {"port": 99999}}, "inference.port", id="a port that cannot be"),
        pytest.param(
            {"stages": {"spotWait": "10"}},
            "stages.spotWait: '10' is no duration such as 12h, 90m or 1h30m",
            id="a wait that is none",
        ),
        pytest.param(
            {"stages": {"train": {"resources": {"limits": {"memory": "8GB"}}}}},
            "stages.train: '8GB' is no quantity such as 16Gi",
            id="memory that is none",
        ),
        pytest.param(
            {"stages": {"train": {"resources": {"limits": {"memory": "16Gi"}}, "maxMemory": "8Gi"}}},
            "stages.train.maxMemory is '8Gi', which is less than the memory in stages.train.resources; raise it",
            id="less at most than at first",
        ),
        pytest.param(
            {"defaultBase": "v2Pro"},
            "defaultBase is 'v2Pro', which is not in bases (tiny); name one of these",
            id="a default base that is none",
        ),
        pytest.param({"bases": {"x": {"uri": "u"}}}, "defaultBase is 'tiny', which is not in bases (x)", id="no tiny"),
        pytest.param(
            {"storage": {"uri": "s3://voices", "endpoint": "s3:9000"}}, "storage.endpoint", id="a store without scheme"
        ),
        pytest.param(
            {"storage": {"uri": "s3://voices", "addressing": "dns"}}, "storage.addressing", id="an unknown addressing"
        ),
        pytest.param(
            {"storage": {"uri": "s3://voices", "caFile": "/nowhere/ca.crt"}},
            "storage.caFile: /nowhere/ca.crt: No such file or directory; put the certificates",
            id="a CA that is not there",
        ),
        pytest.param(
            {"storage": {"uri": "s3://voices", "caFile": yaml.__file__}},
            "holds no certificate; it must be PEM",
            id="no PEM",
        ),
        pytest.param({"proxy": {"https": "proxy:3128"}}, "proxy.https", id="a proxy without scheme"),
        pytest.param(
            {"alerts": {"targets": [{"name": "team", "kind": "slack"}]}},
            "alerts.targets: team needs either url or urlFile; give one of them",
            id="a target without an address",
        ),
        pytest.param(
            {"alerts": {"targets": [{"name": "team", "kind": "slack", "url": "https://a", "urlFile": "/b"}]}},
            "team needs either url or urlFile",
            id="a target with two",
        ),
        pytest.param(
            {"alerts": {"targets": [{"name": "team", "kind": "slack", "url": "https://a"}] * 2}},
            "alerts.targets: team is there twice; names must be unique",
            id="one target twice",
        ),
        pytest.param(
            {"alerts": {"targets": [{"name": "team", "kind": "slack", "url": "https://u:p@a/"}]}},
            "alerts.targets.0.url",
            id="a password in an address",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(tmp_path, SMALLEST | change)
    assert sentence in str(caught.value)
    assert "config.yaml" in str(caught.value)


def test_the_stores_authorities_are_read_once_with_the_file(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    (tmp_path / "ca.crt").write_text(pem)
    storage = {"uri": "s3://voices", "caFile": str(tmp_path / "ca.crt")}
    assert load(tmp_path, SMALLEST | {"storage": storage}).storage.ca == pem
    (tmp_path / "ca.crt").write_text(pem * 10_000)
    with pytest.raises(InvalidSettings, match="larger than 262144 bytes"):
        load(tmp_path, SMALLEST | {"storage": storage})


@pytest.mark.parametrize("content", ["- a\n- b\n", "{", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InvalidSettings, match=r"config\.yaml"):
        load(tmp_path, content)


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="VOICE_OPERATOR_CONFIG"):
        Settings.load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param(
            {"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY is not; set both or neither", id="half of the keys"
        ),
        pytest.param({"AWS_EC2_METADATA_DISABLED": "true"}, "no S3 credentials; set AWS_ACCESS_KEY_ID", id="no keys"),
        pytest.param({"AWS_CA_BUNDLE": "/no/such/file"}, "AWS_CA_BUNDLE is '/no/such/file', which cannot", id="no CA"),
        pytest.param(
            {"AWS_ENDPOINT_URL_S3": "s3:9000", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
            "use http://host:port or https://host:port",
            id="no scheme",
        ),
    ],
)
def test_what_is_known_to_be_wrong_about_s3_stops_the_start(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidSettings, match=sentence):
        open_store("s3://voices", environment)
