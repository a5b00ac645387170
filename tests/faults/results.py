"""What the scenarios counted, as JSON for programs and as the table of docs/reliability.md."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

HEADER = "| scenario | repetitions | violations | longest, seconds |\n| --- | --- | --- | --- |\n"


@dataclass
class Result:
    """One scenario."""

    scenario: str
    repetitions: int = 0
    longest_seconds: float | None = None  # until the wanted state was reached; None: nothing was waited for
    violations: list[str] = field(default_factory=list)

    def took(self, seconds: float) -> None:
        """Note one repetition and how long it took."""
        self.repetitions += 1
        self.longest_seconds = max(self.longest_seconds or 0.0, round(seconds, 1))


def write(results: list[Result], folder: Path) -> None:
    """Write `results.json` and `results.md`; results of scenarios that did not run this time stay."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    earlier = {one["scenario"]: Result(**one) for one in json.loads(path.read_text())} if path.exists() else {}
    merged = sorted((earlier | {one.scenario: one for one in results}).values(), key=lambda one: one.scenario)
    path.write_text(json.dumps([asdict(one) for one in merged], indent=1) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(HEADER + "".join(map(_row, merged)), encoding="utf-8")


def _row(result: Result) -> str:
    seconds = "" if result.longest_seconds is None else f"{result.longest_seconds:.1f}"
    return f"| {result.scenario} | {result.repetitions} | {len(result.violations)} | {seconds} |\n"


def sentence(test: str) -> str:
    """Return a test's name as people read it: `test_a_voice[x y]` is "a voice: x y"."""
    name, _, parameter = test.removeprefix("test_").partition("[")
    words = name.replace("_", " ")
    return f"{words}: {parameter.removesuffix(']')}" if parameter else words
