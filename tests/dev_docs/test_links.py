"""Links of the repository lead to pages of the site."""

import pytest
from dev.docs.links import rewrite, site_path, targets

FILES = {"README.md", "docs/install.md", "docs/images/a.svg", "docs/decisions/README.md", "examples/server.yaml"}


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("README.md", "index.md"),
        ("docs/install.md", "install.md"),
        ("docs/decisions/README.md", "decisions/README.md"),
        ("charts/voice-operator/README.md", "charts/voice-operator/README.md"),
        ("examples/server.yaml", "examples/server.yaml.md"),
    ],
)
def test_every_file_has_one_page(path: str, page: str) -> None:
    assert site_path(path) == page


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        pytest.param("README.md", "[a](docs/install.md)", "[a](install.md)", id="from the README into docs"),
        pytest.param("README.md", "[a](docs/decisions/)", "[a](decisions/README.md)", id="a folder is its README"),
        pytest.param("README.md", "![a](docs/images/a.svg)", "![a](images/a.svg)", id="pictures stay pictures"),
        pytest.param(
            "docs/install.md",
            "[a](../examples/server.yaml)",
            "[a](examples/server.yaml.md)",
            id="a file becomes a page",
        ),
        pytest.param("docs/decisions/README.md", "[a](../install.md#x)", "[a](../install.md#x)", id="anchors are kept"),
        pytest.param("docs/install.md", "[a](gone.md)", "[a](gone.md)", id="a broken link stays, to be reported"),
        pytest.param("docs/install.md", "[a](https://x.org/y)", "[a](https://x.org/y)", id="others are left alone"),
    ],
)
def test_rewrite(source: str, link: str, expected: str) -> None:
    assert rewrite(link, source, FILES.__contains__) == expected


def test_targets_are_relative_links_without_anchors() -> None:
    assert targets("[a](b.md#c) ![d](e.svg) [f](https://g.org) [h](#i)") == {"b.md", "e.svg"}
