"""The audit asks OSV through uv, fails for what nobody accepted, and says so where OSV cannot be reached."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from dev import audit
from dev.errors import DevError
from dev.paths import cache

REPOSITORY = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 29)
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-11-01T00:00:00Z",
    "summary": "Templates run away",
    "aliases": ["CVE-2026-1"],
    "details": "",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9.9"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """The two requests of OSV's API that uv makes; jinja2 has an advisory."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.asked.extend(query["package"]["name"] for query in queries)
        hit = {"vulns": [{"id": ADVISORY["id"], "modified": ADVISORY["modified"]}]}
        self.answer({"results": [hit if query["package"]["name"] == "jinja2" else {} for query in queries]})

    def do_GET(self) -> None:
        self.answer(ADVISORY)

    def answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class OsvServer(ThreadingHTTPServer):
    """uv opens some thirty connections at once."""

    request_queue_size = 128


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A service that answers as OSV does; yields the packages it was asked about."""
    server = OsvServer(("127.0.0.1", 0), Osv)
    patient = dict.fromkeys(audit.IMPATIENT, "60") | {"UV_HTTP_RETRIES": "3"}  # other tests share the cores
    monkeypatch.setattr(audit, "IMPATIENT", patient)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{server.server_address[1]}")
    Osv.asked.clear()
    yield Osv.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    path = cache() / f"uv-{re.search(r'^UV_VERSION := (.+)$', makefile, re.MULTILINE)[1]}" / "bin" / "uv"
    if not path.exists():
        pytest.skip(f"{path} is missing; `make setup` installs it")
    monkeypatch.setenv("UV", str(path))
    monkeypatch.setenv("VOICE_OPERATOR_CACHE", str(tmp_path))
    monkeypatch.setattr(audit, "ACCEPTED", tmp_path / "audit.toml")
    (tmp_path / "audit.toml").write_text("")
    return path


def test_an_advisory_fails_the_check(uv: Path, osv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main() == 1
    assert capsys.readouterr().err == (
        "audit: jinja2 3.1.6: PYSEC-2026-1, Templates run away; fixed in 9.9.9: "
        "`uv lock --upgrade-package jinja2`, or accept it in dev/audit.toml\n"
    )
    assert {"kopf", "torch", "pytest", "hatchling"} <= set(osv)  # the product, its tests and what builds it


def test_an_accepted_advisory_passes_and_is_counted(
    uv: Path, osv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    until = datetime.now(UTC).date() + timedelta(days=7)
    entry = f'[[accepted]]\nid = "CVE-2026-1"\npackage = "jinja2"\nreason = "a test"\nuntil = {until}\n'
    audit.ACCEPTED.write_text(entry)
    assert audit.main() == 0
    assert capsys.readouterr().err.endswith("no known vulnerability but 1 accepted\n")


def test_the_answer_is_kept_for_a_day(uv: Path, osv: list[str]) -> None:
    audit.main()
    osv.clear()
    assert audit.main() == 1
    assert osv == []


def test_without_a_network_it_says_so_and_passes(
    uv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OSV_URL", "http://127.0.0.1:1")
    assert audit.main() == 0
    assert capsys.readouterr().err == (
        "audit: OSV cannot be reached from here, so nobody looked for known vulnerabilities\n"
    )


REPORT: dict[str, Any] = {
    "vulnerabilities": [
        {"dependency": {"name": "jinja2", "version": "3.1.6"}, "id": "PYSEC-2026-1", "aliases": []}
        | {"summary": "", "fix_versions": []}
    ]
}


def entry(**change: Any) -> audit.Accepted:
    fields = {"advisory": "PYSEC-2026-1", "package": "jinja2", "reason": "x", "until": TODAY} | change
    return audit.Accepted(**fields)


def test_an_entry_ends_with_its_day() -> None:
    assert audit.problems(REPORT, [entry()], TODAY) == []
    (sentence,) = audit.problems(REPORT, [entry(until=date(2026, 11, 28))], TODAY)
    assert "not fixed yet (accepted until 2026-11-28, which has passed)" in sentence


def test_an_entry_stands_for_its_package_alone() -> None:
    assert len(audit.problems(REPORT, [entry(package="torch")], TODAY)) == 2


def test_an_entry_that_nobody_needs_is_named() -> None:
    (sentence,) = audit.problems({"vulnerabilities": []}, [entry()], TODAY)
    assert sentence == "dev/audit.toml accepts PYSEC-2026-1 of jinja2: nobody reports it"


WHOLE = 'id = "A"\npackage = "jinja2"\nreason = "x"\nuntil = 2026-12-01\n'


@pytest.mark.parametrize("field", ["id", "package", "reason", "until"])
def test_an_entry_has_every_field(field: str) -> None:
    lines = "".join(line + "\n" for line in WHOLE.splitlines() if not line.startswith(field))
    with pytest.raises(DevError, match=f"an entry has no {field}"):
        audit.accepted(f"[[accepted]]\n{lines}", TODAY)


def test_an_entry_does_not_last_for_ever() -> None:
    with pytest.raises(DevError, match="more than half a year away"):
        audit.accepted(f"[[accepted]]\n{WHOLE.replace('2026-12-01', '2027-12-01')}", TODAY)


def test_the_committed_list_is_well_formed() -> None:
    audit.accepted((REPOSITORY / "dev" / "audit.toml").read_text(encoding="utf-8"), datetime.now(UTC).date())
