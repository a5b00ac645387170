"""Writes the chart's Grafana dashboard: `make dashboard`."""

import json

from dev.monitoring.dashboard import dashboard
from dev.paths import REPOSITORY

FILE = REPOSITORY / "charts" / "voice-operator" / "files" / "dashboard.json"


def main() -> None:
    """Write the file."""
    FILE.write_text(json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {FILE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
