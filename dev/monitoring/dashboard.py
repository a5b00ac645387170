"""The dashboard as data: rows of panels, each a title, a unit and PromQL, laid out two or three to a row.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ has the format.
"""

from dataclasses import dataclass
from typing import Any

WIDTH = 24  # columns of Grafana's grid
HEIGHT = 8  # rows of a panel
SERVER = 'namespace=~"$namespace", server=~"$server"'
OWN_JOB = 'job=~".*voice-operator.*"'
LOADS = "voice_inference_voice_loads_total"
RATE = "[$__rate_interval]"
HOUR = "[1h]"


@dataclass(frozen=True)
class Panel:
    """One graph: its queries by legend."""

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""


def total(metric: str, by: str, where: str, window: str, function: str = "rate") -> str:
    """Return how fast a counter grows, or by how much (``increase``), by labels."""
    return f"sum by ({by}) ({function}({metric}{{{where}}}{window}))"


def quantiles(metric: str, by: str = "", where: str = "") -> dict[str, str]:
    """Return the median and the 95th percentile of a histogram, by a label or of all."""
    labels = ", ".join(filter(None, (by, "le")))
    legend = f"{{{{{by}}}}} " if by else ""
    bucket = f"{metric}_bucket{{{where}}}" if where else f"{metric}_bucket"
    return {
        f"{legend}p{percent}": f"histogram_quantile(0.{percent}, sum by ({labels}) (rate({bucket}{RATE})))"
        for percent in (50, 95)
    }


VOICES = (
    Panel("Voices by phase", "short", {"{{phase}}": "sum by (phase) (voice_operator_voices)"}),
    Panel(
        "Voices that are not ready, by reason",
        "short",
        {"{{reason}}": 'sum by (reason) (voice_operator_voices_by_reason{reason!="Loaded"})'},
        "Reasons of the condition Ready; the documentation has a remedy for each.",
    ),
    Panel(
        "Attempts of stages",
        "short",
        {"{{stage}} {{result}}": "sum by (stage, result) (increase(voice_operator_stage_attempts_total[1h]))"},
    ),
    Panel("GPUs in use", "short", {"{{stage}}": f"sum by (stage) (rate(voice_operator_gpu_seconds_total{RATE}))"}),
    Panel("From an event to its Job", "s", quantiles("voice_operator_event_to_job_duration_seconds")),
    Panel(
        "Alerts by result",
        "short",
        {"{{target}} {{result}}": "sum by (target, result) (increase(voice_operator_alerts_total[1h]))"},
    ),
)
SPEECH = (
    Panel("First sound", "s", quantiles("voice_inference_time_to_first_audio_seconds", "server", SERVER)),
    Panel(
        "Requests",
        "reqps",
        {"{{server}} {{status}}": total("voice_inference_http_requests_total", "server, status", SERVER, RATE)},
    ),
    Panel(
        "Requests that run or wait",
        "short",
        {"{{server}} {{pod}}": f"sum by (server, pod) (voice_inference_speech_requests_in_progress{{{SERVER}}})"},
    ),
    Panel(
        "Sentences spoken in one step",
        "short",
        {
            "{{server}}": f"sum by (server) (rate(voice_inference_step_rows_total{{{SERVER}}}[5m])) / "
            f"sum by (server) (rate(voice_inference_steps_total{{{SERVER}}}[5m]))"
        },
    ),
    Panel(
        "Seconds that a sentence takes, per second of its audio",
        "s",
        quantiles("voice_inference_real_time_factor", "server", SERVER),
    ),
    Panel(
        "Voices by state",
        "short",
        {"{{server}} {{state}}": f"sum by (server, state) (voice_inference_voices{{{SERVER}}})"},
    ),
    Panel(
        "Loads",
        "short",
        {"{{server}} {{result}}": total(LOADS, "server, result", SERVER, HOUR, "increase")},
    ),
    Panel(
        "Generation of the list of voices",
        "short",
        {"{{server}} {{pod}}": f"max by (server, pod) (voice_inference_desired_generation{{{SERVER}}})"},
        "Pods of one server should have the same one: a revocation is a new generation.",
    ),
    Panel(
        "Sentences with a fault after all attempts",
        "percentunit",
        {
            "{{server}}": f"sum by (server) (rate(voice_inference_faulty_segments_total{{{SERVER}}}{RATE})) / "
            f"sum by (server) (rate(voice_inference_segments_total{{{SERVER}}}{RATE}))"
        },
    ),
)
OPERATOR = (
    Panel("Keys that wait", "short", {"{{name}}": 'sum by (name) (workqueue_depth{name=~"voice.*"})'}),
    Panel("Wait in the queue", "s", quantiles("workqueue_queue_duration_seconds", "name", 'name=~"voice.*"')),
    Panel(
        "Passes by result",
        "ops",
        {
            "{{controller}} {{result}}": "sum by (controller, result) (rate(controller_runtime_reconcile_total"
            f'{{controller=~"voice.*"}}{RATE}))'
        },
    ),
    Panel(
        "Requests to the API server",
        "reqps",
        {"{{verb}} {{code}}": total("rest_client_requests_total", "verb, code", OWN_JOB, RATE)},
    ),
    Panel("Audit log: acts that wait", "short", {"pending": "sum(voice_operator_audit_pending)"}),
    Panel(
        "Memory",
        "bytes",
        {
            "{{pod}}": "process_resident_memory_bytes * on (pod) group_left () "
            "(0 * max by (pod) (voice_operator_build_info) + 1)",
        },
    ),
)
ROWS = {"Voices": VOICES, "Speech": SPEECH, "Operator": OPERATOR}
PER_ROW = 3


def dashboard() -> dict[str, Any]:
    """Return the dashboard in Grafana's JSON."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        position = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        panels.append({"type": "row", "id": len(panels) + 1, "title": title, "collapsed": False, "gridPos": position})
        top += 1
        for number, panel in enumerate(row):
            width = WIDTH // PER_ROW
            position = {"h": HEIGHT, "w": width, "x": number % PER_ROW * width, "y": top + number // PER_ROW * HEIGHT}
            panels.append(_graph(panel, len(panels) + 1, position))
        top += -(-len(row) // PER_ROW) * HEIGHT
    return {
        "uid": "voice-operator",
        "title": "Voices",
        "tags": ["voice-operator"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), *(_variable(name) for name in ("namespace", "server"))]},
        "panels": panels,
    }


def queries() -> list[str]:
    """Return the PromQL of all panels."""
    return [query for row in ROWS.values() for panel in row for query in panel.queries.values()]


def _graph(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": _datasource()}
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": "timeseries",
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "datasource": _datasource(),
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def _datasource() -> dict[str, str]:
    return {"type": "prometheus", "uid": "${datasource}"}


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _datasource(),
        "query": f"label_values(voice_inference_voices, {name})",
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }
