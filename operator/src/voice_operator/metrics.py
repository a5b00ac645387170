"""Counters of the operator, in the text form that Prometheus reads."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATM = Path("/proc/self/statm")
PAGE_BYTES = 4096


class Metrics:
    """What happened since the process started."""

    def __init__(self) -> None:
        self.reconciles: Counter[tuple[str, str]] = Counter()  # by kind and result
        self.seconds: defaultdict[str, float] = defaultdict(float)  # by kind
        self.writes: Counter[str] = Counter()  # status writes by kind

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """Add the time spent inside to ``kind``."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[kind] += time.monotonic() - started

    def render(self, *, queued: int, requests: dict[str, int]) -> str:
        """Return the exposition text."""
        lines = ["# TYPE voice_operator_queue_depth gauge", f"voice_operator_queue_depth {queued}"]
        lines.append("# TYPE voice_operator_reconciles_total counter")
        for (kind, result), count in sorted(self.reconciles.items()):
            lines.append(f'voice_operator_reconciles_total{{kind="{kind}",result="{result}"}} {count}')
        lines.append("# TYPE voice_operator_reconcile_seconds_total counter")
        lines += [
            f'voice_operator_reconcile_seconds_total{{kind="{kind}"}} {seconds:.3f}'
            for kind, seconds in sorted(self.seconds.items())
        ]
        lines.append("# TYPE voice_operator_status_writes_total counter")
        lines += [
            f'voice_operator_status_writes_total{{kind="{kind}"}} {count}'
            for kind, count in sorted(self.writes.items())
        ]
        lines.append("# TYPE voice_operator_api_requests_total counter")
        lines += [
            f'voice_operator_api_requests_total{{verb="{verb}"}} {count}' for verb, count in sorted(requests.items())
        ]
        lines += ["# TYPE process_resident_memory_bytes gauge", f"process_resident_memory_bytes {resident_bytes()}"]
        return "\n".join(lines) + "\n"


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    return int(STATM.read_text().split()[1]) * PAGE_BYTES
