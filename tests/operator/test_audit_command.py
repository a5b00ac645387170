"""``voice-operator audit`` from a bucket and a public key alone: each kind of tampering is found, and named first."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import KEYS, s3_server
from tests.support.signing import KEY

from voice_operator.__main__ import main
from voice_operator.api.voice_model import Source
from voice_operator.api.voice_status import Act
from voice_operator.manifests.audit_record import Subject, digest_of, record_bytes, record_name
from voice_operator.reconcile.audit import Position
from voice_operator.signing import SigningKey, canonical, new_key

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
OTHER_KEY = SigningKey(new_key(), NOW)
START = Position()
LAST = 9


def an_act(number: int, **about: Any) -> Act:
    given: dict[str, Any] = {
        "id": f"{number:032x}",
        "act": "Served",
        "time": "2026-11-23T06:07:00Z",
        "revision": "alice-1",
    }
    return Act(**(given | about))


def write(
    folder: Path,
    first: int,
    last: int,
    *,
    namespace: str = "studio",
    after: Position = START,
    key: SigningKey = KEY,
) -> Position:
    """Write a chain's records, as the operator does; return the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    position = after
    for number in range(first, last + 1):
        subject = Subject(namespace, ("alice", "bob")[number % 2], "uid")
        data = record_bytes(subject, an_act(number), position, NOW, key)
        (folder / record_name(number)).write_bytes(data)
        position = Position(number, digest_of(data))
    return position


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], Path]) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "voices").mkdir()
    with s3_server(tool("versitygw"), folder) as port:
        yield port, folder / "voices"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Log:
    """One chain in the bucket, and somebody with the command."""

    folder: Path
    uri: str
    keys: list[Path]
    head: Position = START

    def path(self, number: int) -> Path:
        return self.folder / record_name(number)

    def run(self, *arguments: str) -> Done:
        """Run the command in this process."""
        output, errors = io.StringIO(), io.StringIO()
        where = ["-n", "studio", "--uri", self.uri]
        with redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
            main(["audit", *arguments, *where])
        return Done(int(str(ended.value.code)), output.getvalue(), errors.getvalue())

    def verify(self, *arguments: str) -> Done:
        keys = [flag for key in self.keys for flag in ("--public-key", str(key))]
        return self.run("verify", *keys, *arguments)


@pytest.fixture
def log(bucket: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    port, folder = bucket
    for name, value in {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", **KEYS}.items():
        monkeypatch.setenv(name, value)
    key, name = tmp_path / "key.pub", tmp_path.name
    key.write_text(KEY.public.text)
    found = Log(folder / name / "studio", f"s3://voices/{name}", [key])
    found.head = write(found.folder, 1, LAST)
    return found


def test_a_whole_log_says_so_and_gives_a_head_to_hold_it_against(log: Log) -> None:
    done = log.verify()
    head = f"{LAST}:{log.head.digest}"
    assert (done.returncode, done.stdout) == (0, f"{log.uri}/studio: {LAST} records, head {head}: nothing is wrong\n")
    write(log.folder, LAST + 1, LAST + 3, after=log.head)
    assert log.verify("--head", head).returncode == 0


def edit(log: Log, number: int, **act: Any) -> None:
    """Change a record, spelt as records are."""
    record = json.loads(log.path(number).read_bytes())
    record["act"] |= act
    log.path(number).write_bytes(canonical(record))


def swap(log: Log, first: int, second: int) -> None:
    contents = [log.path(number).read_bytes() for number in (first, second)]
    for number, content in zip((second, first), contents, strict=True):
        log.path(number).write_bytes(content)


def renumber(log: Log) -> None:
    """Take record 4 out and move the others up."""
    for number in range(4, LAST):
        log.path(number).write_bytes(log.path(number + 1).read_bytes())
    log.path(LAST).unlink()


def rewrite(log: Log) -> None:
    """What somebody with another key can make, from record 5 on."""
    before = Position(4, digest_of(log.path(4).read_bytes()))
    write(log.folder, 5, LAST, after=before, key=OTHER_KEY)


def fork(log: Log) -> None:
    """Another record 6 by the installation itself, as a copy of its key could make."""
    before = Position(5, digest_of(log.path(5).read_bytes()))
    subject = Subject("studio", "alice", "uid")
    log.path(6).write_bytes(record_bytes(subject, an_act(66, act="Approved"), before, NOW, KEY))


def spell(log: Log) -> None:
    log.path(3).write_text(json.dumps(json.loads(log.path(3).read_bytes()), indent=1))


def transplant(log: Log) -> None:
    other = log.folder.with_name("other")
    write(other, 1, 3, namespace="other")
    log.path(2).write_bytes((other / record_name(2)).read_bytes())


@pytest.mark.parametrize(
    ("tamper", "first", "says"),
    [
        pytest.param(lambda log: log.path(4).unlink(), 4, "it is missing", id="one is gone"),
        pytest.param(lambda log: log.path(1).unlink(), 1, "it is missing", id="the first one is gone"),
        pytest.param(lambda log: edit(log, 5, by="eve"), 5, "its signature is of another content", id="one is altered"),
        pytest.param(lambda log: swap(log, 3, 7), 3, "it was moved: it is record 7 of studio", id="two are exchanged"),
        pytest.param(renumber, 4, "it was moved: it is record 5", id="one is taken out and the others moved up"),
        pytest.param(rewrite, 5, f"it is signed by {OTHER_KEY.public.text}", id="the end is by another key"),
        pytest.param(fork, 7, "it follows sha256:", id="one is another one by the same key"),
        pytest.param(spell, 3, "its signature is of another content", id="the same document in another spelling"),
        pytest.param(transplant, 2, "it was moved: it is record 2 of other", id="one is of another namespace"),
        pytest.param(lambda log: log.path(6).write_bytes(b"{}"), 6, "it is no record", id="one is none"),
        pytest.param(lambda log: log.path(6).write_bytes(b"x" * 70_000), 6, "it is no record", id="one is too large"),
    ],
)
def test_tampering_is_found_and_the_first_broken_link_comes_first(
    tamper: Callable[[Log], Any], first: int, says: str, log: Log
) -> None:
    tamper(log)
    done = log.verify()
    assert done.returncode == 1
    line = done.stdout.splitlines()[0]
    assert line.startswith(f"record {first}: ")
    assert says in line
    assert done.stdout.splitlines()[-1].endswith("do not trust this log")
    found = json.loads(log.verify("--json").stdout)
    assert (found["whole"], found["breaks"][0]["sequence"]) == (False, first)


def test_an_end_that_was_cut_off_is_seen_only_by_who_knows_a_head(log: Log) -> None:
    for number in (LAST - 1, LAST):
        log.path(number).unlink()
    assert log.verify().returncode == 0
    done = log.verify("--head", f"{LAST}:{log.head.digest}")
    assert done.returncode == 1
    assert done.stdout.startswith(f"record {LAST}: it is missing: the log is cut off before {log.head.digest}")


def test_a_log_that_was_written_anew_with_the_same_key_is_seen_by_who_knows_a_head(log: Log) -> None:
    head = f"{LAST}:{log.head.digest}"
    edited = write(log.folder, 1, 2)
    write(log.folder, 4, LAST, after=Position(3, edited.digest))
    fork_at_three = record_bytes(Subject("studio", "eve", "uid"), an_act(33), edited, NOW, KEY)
    log.path(3).write_bytes(fork_at_three)
    write(log.folder, 4, LAST, after=Position(3, digest_of(fork_at_three)))
    assert log.verify().returncode == 0
    done = log.verify("--head", head)
    assert (done.returncode, "the log was written anew" in done.stdout) == (1, True)


def test_objects_that_are_no_records_are_named(log: Log) -> None:
    (log.folder / "notes.txt").write_text("x")
    done = log.verify()
    assert (done.returncode, "notes.txt is no record" in done.stdout) == (1, True)


def test_a_key_that_was_replaced_is_given_beside_the_new_one(log: Log, tmp_path: Path) -> None:
    write(log.folder, LAST + 1, LAST + 2, after=log.head, key=OTHER_KEY)
    assert log.verify().returncode == 1
    second = tmp_path / "second.pub"
    second.write_text(OTHER_KEY.public.text)
    log.keys.append(second)
    assert log.verify().returncode == 0


def test_an_empty_log_is_whole_unless_a_head_is_known(log: Log) -> None:
    log.uri += "-nowhere"
    assert log.verify().stdout == f"{log.uri}/studio: no records: nothing is wrong\n"
    assert log.verify("--head", f"{LAST}:{log.head.digest}").returncode == 1


def test_a_list_is_a_table_or_json_lines_of_a_voice_or_of_a_kind(log: Log) -> None:
    source, reason = Source(commit="3f2a91c0"), "says\x1b[2J\u202e who"
    act = an_act(10, act="Rejected", by="rita", reason=reason, source=source)
    log.path(10).write_bytes(record_bytes(Subject("studio", "alice", "uid"), act, log.head, NOW, KEY))
    lines = log.run().stdout.splitlines()
    assert lines[0].split() == ["RECORD", "TIME", "ACT", "VOICE", "REVISION", "BY", "COMMIT", "REASON"]
    assert len(lines) == 1 + 10
    assert lines[-1].split()[:7] == ["10", "2026-11-23T06:07:00Z", "Rejected", "alice", "alice-1", "rita", "3f2a91c0"]
    assert all(line.isprintable() for line in lines)
    assert len(log.run("list", "--voice", "bob").stdout.splitlines()) == 1 + 5
    (line,) = log.run("--act", "Rejected", "--json").stdout.splitlines()
    assert json.loads(line)["act"]["reason"] == reason


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "--head", "9"], "NUMBER:sha256:"),
        (["verify", "--public-key", "/nowhere/key.pub"], "--public-key /nowhere/key.pub"),
        (["list", "--uri", "ftp://x"], "ftp://x"),
    ],
)
def test_a_wrong_argument_is_a_sentence(arguments: list[str], says: str, log: Log) -> None:
    command = [sys.executable, "-m", "voice_operator", "audit", "--uri", log.uri, "--public-key", str(log.keys[0])]
    done = subprocess.run([*command, *arguments], text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 64
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_does_not_answer_is_a_sentence(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    done = log.verify()
    assert done.returncode == 64
    assert "no connection to 127.0.0.1" in done.stderr
