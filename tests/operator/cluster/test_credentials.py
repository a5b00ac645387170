"""Where credentials come from, and what is said when they do not come."""

from pathlib import Path

import pytest
import yaml

from voice_operator.cluster.credentials import load_credentials
from voice_operator.errors import ClusterError

KUBECONFIG = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://api.example.org:6443"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}


def test_a_kubeconfig_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(KUBECONFIG))
    monkeypatch.setenv("KUBECONFIG", str(path))
    found = load_credentials()
    assert found.server == "https://api.example.org:6443"
    assert found.as_http_headers() == {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "No such file", id="no file"),
        pytest.param("{", "while parsing", id="no YAML"),
        pytest.param("{}", "Current context is not set", id="an empty one"),
        pytest.param("- a\n", "no usable KUBECONFIG", id="a list"),
        pytest.param("current-context: there\n", "'there'", id="a context that is not there"),
    ],
)
def test_an_unusable_kubeconfig_is_a_sentence(
    content: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterError, match=sentence):
        load_credentials()


def test_no_credentials_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="KUBECONFIG is not set"):
        load_credentials()
