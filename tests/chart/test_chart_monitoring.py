"""Alerts and dashboard: they name metrics that exist, fire when they should, and each alert has a runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dev.debian import ensure
from dev.errors import DevError
from dev.monitoring.dashboard import dashboard, queries

from voice_inference.metrics import Metrics as InferenceMetrics
from voice_operator.metrics import Metrics as OperatorMetrics

ENABLED = {
    "metrics": {
        "prometheusRule": {"enabled": True, "runbooks": "https://example.org/runbooks", "firstAudioSeconds": 1.5}
    }
}
OURS = re.compile(r"\b(?:voice_operator|voice_inference|workqueue|controller_runtime|rest_client|process)_[a-z_]+\b")
MATCHERS = re.compile(r"([a-z_]+)\{([^}]*)\}")
TARGET_LABELS = {"namespace", "server", "pod", "job", "le"}


@pytest.fixture(scope="module")
def promtool() -> str:
    try:
        ensure({"promtool": "prometheus"})
    except DevError as error:
        pytest.skip(f"promtool of Debian's prometheus cannot be installed here: {error}")
    return "promtool"


@pytest.fixture(scope="module")
def rules(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = chart.one("PrometheusRule", ENABLED)["spec"]
    return spec


def alerts_of(rules: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in rules["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def served() -> dict[str, set[str]]:
    """The series' names of both programs, as they print them, with their labels."""
    operator, inference = OperatorMetrics(), InferenceMetrics()
    operator.watch_voices(lambda: [("Ready", "Loaded")])
    found: dict[str, set[str]] = {}
    for metrics in (operator, inference):
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", metrics.render().decode(), re.MULTILINE):
            collector = metrics.registry._names_to_collectors.get(name.removesuffix("_total"))
            labels = set(getattr(collector, "_labelnames", ()))
            suffixes = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
            found |= {name + suffix: labels for suffix in suffixes}
    found["voice_operator_voices"] = {"phase"}
    found["voice_operator_voices_by_reason"] = {"reason"}
    return found


def test_every_metric_and_label_of_alerts_and_panels_exists(rules: dict[str, Any], served: dict[str, set[str]]) -> None:
    asked = [rule["expr"] for rule in alerts_of(rules)] + queries()
    for query in asked:
        named = OURS.findall(query)
        assert named, query
        assert set(named) <= served.keys(), query
        for metric, matchers in MATCHERS.findall(query):
            labels = set(re.findall(r"([a-z_]+)\s*[!=]~?\s*\"", matchers))
            assert labels <= served[metric] | TARGET_LABELS, query


def test_the_dashboard_of_the_chart_is_the_generated_one(chart: Any) -> None:
    values = {"metrics": {"dashboard": {"enabled": True}}}
    config_map = chart.one("ConfigMap", values, name="voice-operator-dashboard")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config_map["data"]["voice-operator.json"]) == dashboard(), "run make dashboard"


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard()["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_each_alert_has_a_runbook_and_each_runbook_an_alert(rules: dict[str, Any], repository: Path) -> None:
    text = (repository / "docs" / "runbooks.md").read_text()
    names = [rule["alert"] for rule in alerts_of(rules)]
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == names
    for rule in alerts_of(rules):
        assert rule["annotations"]["runbook_url"] == f"https://example.org/runbooks#{rule['alert'].lower()}"
        assert {"summary", "description"} <= rule["annotations"].keys()


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


SERVER = 'namespace="studio", server="default"'
ALERTS: dict[str, tuple[list[dict[str, str]], list[dict[str, str]], str]] = {
    # alert: series that bring it about, series that do not, when to look
    "VoiceOperatorAbsent": ([], [series("voice_operator_build_info", "1x20")], "10m"),
    "VoiceRevocationSlow": (
        [
            series('workqueue_queue_duration_seconds_bucket{name="voicelist", le="5"}', "0+0x30"),
            series('workqueue_queue_duration_seconds_bucket{name="voicelist", le="10"}', "0+10x30"),
            series('workqueue_queue_duration_seconds_bucket{name="voicelist", le="+Inf"}', "0+10x30"),
        ],
        [
            series('workqueue_queue_duration_seconds_bucket{name="voicelist", le="5"}', "0+10x30"),
            series('workqueue_queue_duration_seconds_bucket{name="voicelist", le="+Inf"}', "0+10x30"),
        ],
        "20m",
    ),
    "VoiceServerBehind": (
        [
            series(f'voice_inference_desired_generation{{{SERVER}, pod="a"}}', "7x20"),
            series(f'voice_inference_desired_generation{{{SERVER}, pod="b"}}', "6x20"),
        ],
        [
            series(f'voice_inference_desired_generation{{{SERVER}, pod="a"}}', "7x20"),
            series(f'voice_inference_desired_generation{{{SERVER}, pod="b"}}', "7x20"),
        ],
        "10m",
    ),
    "VoiceOperatorQueueStuck": (
        [
            series('workqueue_depth{name="voicemodel"}', "3x60"),
            series('workqueue_work_duration_seconds_count{name="voicemodel"}', "5x60"),
        ],
        [
            series('workqueue_depth{name="voicemodel"}', "3x60"),
            series('workqueue_work_duration_seconds_count{name="voicemodel"}', "0+5x60"),
        ],
        "40m",
    ),
    "VoiceOperatorErrors": (
        [
            series('controller_runtime_reconcile_total{controller="voicemodel", result="error"}', "0+5x90"),
            series('controller_runtime_reconcile_total{controller="voicemodel", result="success"}', "0+5x90"),
        ],
        [
            series('controller_runtime_reconcile_total{controller="voicemodel", result="error"}', "0+1x90"),
            series('controller_runtime_reconcile_total{controller="voicemodel", result="success"}', "0+9x90"),
        ],
        "80m",
    ),
    "VoiceGpuStarved": (
        [series('voice_operator_voices_by_reason{reason="WaitingForNode"}', "1x200")],
        [series('voice_operator_voices_by_reason{reason="Loaded"}', "9x200")],
        "180m",
    ),
    "VoiceGatesFailed": (
        [series('voice_operator_voices_by_reason{reason="GatesFailed"}', "2x90")],
        [series('voice_operator_voices_by_reason{reason="GatesFailed"}', "0x90")],
        "80m",
    ),
    "VoiceAttemptsFail": (
        [series('voice_operator_stage_attempts_total{stage="train", result="OutOfMemory"}', "0+1x90")],
        [
            series('voice_operator_stage_attempts_total{stage="train", result="OutOfMemory"}', "0+1x90"),
            series('voice_operator_stage_attempts_total{stage="train", result="Succeeded"}', "0+1x90"),
        ],
        "80m",
    ),
    "VoiceAuditLost": (
        [series('voice_operator_audit_records_total{result="lost"}', "0 0 1x20")],
        [series('voice_operator_audit_records_total{result="lost"}', "0x20")],
        "10m",
    ),
    "VoiceAlertsUndelivered": (
        [series('voice_operator_alerts_total{target="team", alert="Stalled", result="failed"}', "0 0 1x20")],
        [series('voice_operator_alerts_total{target="team", alert="Stalled", result="sent"}', "0 0 1x20")],
        "10m",
    ),
    "VoiceLoadFails": (
        [series(f'voice_inference_voices{{{SERVER}, state="failed"}}', "1x30")],
        [series(f'voice_inference_voices{{{SERVER}, state="ready"}}', "1x30")],
        "20m",
    ),
    "VoiceFirstAudioSlow": (
        [
            series(f'voice_inference_time_to_first_audio_seconds_bucket{{{SERVER}, le="1"}}', "0+1x60"),
            series(f'voice_inference_time_to_first_audio_seconds_bucket{{{SERVER}, le="2.5"}}', "0+9x60"),
            series(f'voice_inference_time_to_first_audio_seconds_bucket{{{SERVER}, le="+Inf"}}', "0+9x60"),
        ],
        [
            series(f'voice_inference_time_to_first_audio_seconds_bucket{{{SERVER}, le="1"}}', "0+9x60"),
            series(f'voice_inference_time_to_first_audio_seconds_bucket{{{SERVER}, le="+Inf"}}', "0+9x60"),
        ],
        "40m",
    ),
    "VoiceServerFull": (
        [series(f'voice_inference_http_requests_total{{{SERVER}, route="/v1/audio/speech", status="429"}}', "0+9x60")],
        [series(f'voice_inference_http_requests_total{{{SERVER}, route="/v1/audio/speech", status="200"}}', "0+9x60")],
        "40m",
    ),
    "VoiceServerErrors": (
        [series(f'voice_inference_http_requests_total{{{SERVER}, route="/v1/audio/speech", status="500"}}', "0+9x60")],
        [series(f'voice_inference_http_requests_total{{{SERVER}, route="/v1/audio/speech", status="200"}}', "0+9x60")],
        "40m",
    ),
}


def test_each_alert_fires_when_it_should_and_not_otherwise(
    promtool: str, rules: dict[str, Any], tmp_path: Path
) -> None:
    """With the rules as they are installed: promtool evaluates them over series of an hour or more."""
    assert list(ALERTS) == [rule["alert"] for rule in alerts_of(rules)], "each alert is tested"
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    tests = [
        {
            "name": f"{alert} {'fires' if fires else 'is quiet'}",
            "interval": "1m",
            "input_series": given,
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                    "eval_time": when,
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for alert, (bad, good, when) in ALERTS.items()
        for fires, given in ((True, bad), (False, good))
    ]
    (tmp_path / "tests.json").write_text(json.dumps({"rule_files": ["rules.json"], "tests": tests}))
    run_promtool(promtool, "check", "rules", "rules.json", cwd=tmp_path)
    run_promtool(promtool, "test", "rules", "tests.json", cwd=tmp_path)


def test_queries_of_the_panels_are_promql(promtool: str, tmp_path: Path) -> None:
    plain = [query.replace("$__rate_interval", "5m").replace("$", "") for query in queries()]
    recorded = [{"record": f"panel_{number}", "expr": query} for number, query in enumerate(plain)]
    (tmp_path / "panels.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    run_promtool(promtool, "check", "rules", "panels.json", cwd=tmp_path)


def run_promtool(promtool: str, *arguments: str, cwd: Path) -> None:
    done = subprocess.run([promtool, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_servers_are_scraped_where_the_operator_works_with_their_names(chart: Any) -> None:
    def monitor(**values: Any) -> dict[str, Any]:
        enabled = {"metrics": {"serviceMonitor": {"enabled": True}}}
        spec: dict[str, Any] = chart.one("ServiceMonitor", enabled | values, name="voice-operator-servers")["spec"]
        return spec

    assert monitor()["namespaceSelector"] == {"any": True}
    assert monitor(watchNamespaces=["studio"])["namespaceSelector"] == {"matchNames": ["studio", "voice-system"]}
    endpoints = monitor()["endpoints"]
    assert [(one["port"], one.get("scheme", "http")) for one in endpoints] == [("http", "http"), ("https", "https")]
    named = {"sourceLabels": ["__meta_kubernetes_service_label_voice_sovits_dev_server"], "targetLabel": "server"}
    assert all(one["relabelings"] == [named] for one in endpoints)
