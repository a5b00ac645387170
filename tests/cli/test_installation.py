"""Where the installation's configuration lets recordings lie."""

from typing import Any

import pytest

from voice_cli.installation import recordings_prefix, recordings_prefixes

STORAGE = {"uri": "s3://voices/"}


@pytest.mark.parametrize(
    ("config", "prefixes"),
    [
        pytest.param({}, [], id="unknown"),
        pytest.param({"storage": STORAGE}, ["s3://voices/datasets/studio/"], id="nothing is said"),
        pytest.param(
            {"storage": STORAGE, "tenancy": {"datasets": ["{storage}/datasets/{namespace}/"]}},
            ["s3://voices/datasets/studio/"],
            id="as the chart says",
        ),
        pytest.param(
            {"tenancy": {"datasets": ["s3://a/{namespace}/", "s3://b/"]}}, ["s3://a/studio/", "s3://b/"], id="several"
        ),
        pytest.param(
            {
                "storage": STORAGE,
                "tenancy": {
                    "datasets": ["s3://a/"],
                    "namespaces": {"studio": {"datasets": ["{storage}/own/"]}, "other": {"datasets": []}},
                },
            },
            ["s3://voices/own/"],
            id="of its own",
        ),
        pytest.param({"tenancy": {"datasets": ["s3://a/"], "namespaces": {"studio": {"datasets": []}}}}, [], id="none"),
    ],
)
def test_a_namespace_may_put_recordings(config: dict[str, Any], prefixes: list[str]) -> None:
    assert recordings_prefixes(config, "studio") == prefixes
    assert recordings_prefix(config, "studio") == (prefixes[0] if prefixes else "")
