"""``voice-operator audit``: prints what was done to voices, and proves that the log is whole, from the store alone."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import voice_store
from voice_operator.environment import Environment
from voice_operator.errors import InvalidDocument, InvalidSettings, StoreError
from voice_operator.manifests.audit_check import Break, breaks_in
from voice_operator.manifests.audit_record import (
    MAX_BYTES,
    AuditRecord,
    digest_of,
    read_record,
    record_name,
    sequence_of,
)
from voice_operator.reconcile.audit import Position
from voice_operator.settings import Settings
from voice_operator.signing import PublicKey, read_public_key
from voice_store.printable import printable

READERS = 16
AHEAD = 256  # records that are read before they are looked at
SHOWN = 20  # of what is wrong
WRONG_EXIT = 1
HEAD = re.compile(r"([1-9][0-9]{0,11}):(sha256:[0-9a-f]{64})")


class Log:
    """One namespace's records in the store."""

    def __init__(self, uri: str, namespace: str) -> None:
        """Open the folder; nothing is asked yet.

        Raises:
            InvalidSettings: the URI is none, or the store cannot be reached as the environment says.
        """
        self.uri = f"{uri.rstrip('/')}/{namespace}"
        self.namespace = namespace
        try:
            transport = voice_store.Transport(connections=READERS)
            self._store = voice_store.open_store(self.uri, transport=transport)
        except (voice_store.Misconfigured, voice_store.InvalidUri) as error:
            raise InvalidSettings(str(error)) from error
        self.strays: tuple[str, ...] = ()  # objects that are no records

    def records(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield the records from the first number to the last one, None for each that is missing.

        Raises:
            StoreError: the store failed.
        """
        try:
            names = [entry.key for entry in self._store.entries()]
            numbers = [number for number in map(sequence_of, names) if number]
            self.strays = tuple(name for name in names if not sequence_of(name))
            with ThreadPoolExecutor(READERS) as pool:
                for first in range(1, max(numbers, default=0) + 1, AHEAD):
                    part = range(first, min(first + AHEAD, max(numbers) + 1))
                    yield from zip(part, pool.map(self._read, part), strict=True)
        except voice_store.StoreError as error:
            raise StoreError(str(error)) from error

    def _read(self, sequence: int) -> bytes | None:
        try:
            return self._store.read(record_name(sequence), limit=MAX_BYTES)
        except voice_store.NotFound:
            return None
        except voice_store.TooLarge:
            return b""  # no record is


def main(arguments: Sequence[str]) -> int:
    """Print what the arguments ask for; return 0 unless the log is not whole.

    Raises:
        OperatorError: the log, the key or the configuration cannot be read.
    """
    options = _parser().parse_args(arguments)
    settings = None if options.uri and (options.public_key or options.verb == "list") else _settings(options)
    log = Log(options.uri or (settings.audit_uri if settings else ""), options.namespace)
    if options.verb == "list":
        return _list(log, options)
    heads = tuple(map(_head, options.head))
    return _verify(log, _keys(options, settings), heads, as_json=options.json)


def _list(log: Log, options: argparse.Namespace) -> int:
    """Print the acts, the oldest first, as a table or as one JSON document on each line."""
    rows = []
    for sequence, data in log.records():
        record = _record(data)
        if record is None:
            sys.stderr.write(f"record {sequence} cannot be read; voice-operator audit verify says why\n")
        elif _is_wanted(record, options):
            if options.json:
                sys.stdout.write((data or b"").decode() + "\n")
            else:
                rows.append(_row(record))
    if not options.json:
        sys.stdout.write(_table(("RECORD", "TIME", "ACT", "VOICE", "REVISION", "BY", "COMMIT", "REASON"), rows))
    return 0


def _verify(log: Log, keys: tuple[PublicKey, ...], heads: Iterable[Position], *, as_json: bool) -> int:
    head = Position()

    def watched() -> Iterator[tuple[int, bytes | None]]:
        nonlocal head
        for sequence, data in log.records():
            if data is not None:
                head = Position(sequence, digest_of(data))
            yield sequence, data

    breaks = list(breaks_in(log.namespace, watched(), keys, heads))
    strays = [f"{log.uri}/{name} is no record" for name in log.strays]
    whole = not breaks and not strays
    if as_json:
        sys.stdout.write(json.dumps(_document(log, head, breaks, strays)) + "\n")
        return 0 if whole else WRONG_EXIT
    lines = [f"record {one.sequence}: {one.message}" for one in breaks] + strays
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"and {len(lines) - SHOWN} more"]
    end = f"{head.sequence} records, head {_written(head)}" if head.sequence else "no records"
    lines.append(f"{log.uri}: {end}: {'nothing is wrong' if whole else 'do not trust this log'}")
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
    return 0 if whole else WRONG_EXIT


def _document(log: Log, head: Position, breaks: list[Break], strays: list[str]) -> dict[str, Any]:
    return {
        "uri": log.uri,
        "namespace": log.namespace,
        "whole": not breaks and not strays,
        "head": _written(head) if head.sequence else "",
        "breaks": [{"sequence": one.sequence, "message": one.message} for one in breaks],
        "strays": strays,
    }


def _written(head: Position) -> str:
    return f"{head.sequence}:{head.digest}"


def _head(text: str) -> Position:
    found = HEAD.fullmatch(text)
    if found is None:
        raise InvalidSettings(f"--head {text!r} is no head: write what `audit verify` printed, NUMBER:sha256:…")
    return Position(int(found[1]), found[2])


def _record(data: bytes | None) -> AuditRecord | None:
    try:
        return None if data is None else read_record(data, "record")
    except InvalidDocument:
        return None


def _is_wanted(record: AuditRecord, options: argparse.Namespace) -> bool:
    return options.voice in {None, record.voice} and options.act in {None, record.act.act}


def _row(record: AuditRecord) -> tuple[str, ...]:
    act = record.act
    by = act.by or ("operator" if not act.requested_by else f"operator, for {', '.join(act.requested_by)}")
    found = (
        str(record.sequence),
        act.time,
        act.act,
        record.voice,
        act.revision,
        by,
        act.source.commit[:12],
        act.reason,
    )
    return tuple(map(printable, found))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _keys(options: argparse.Namespace, settings: Settings | None) -> tuple[PublicKey, ...]:
    """Return the keys that may have signed the records; without any given, the cluster's present one."""
    if options.public_key or settings is None:
        return tuple(map(read_public_key, options.public_key))
    return (asyncio.run(_cluster_key(settings)),)


async def _cluster_key(settings: Settings) -> PublicKey:
    from voice_operator.cluster.credentials import load_credentials  # noqa: PLC0415 -- kopf takes seconds to import
    from voice_operator.cluster.kube import Kube  # noqa: PLC0415 -- as above
    from voice_operator.cluster.signing import public_key  # noqa: PLC0415 -- as above
    from voice_operator.metrics import Metrics  # noqa: PLC0415 -- as above

    kube = Kube(load_credentials, Metrics())
    try:
        return await public_key(kube, settings.namespace, settings.signing_key_secret)
    finally:
        await kube.close()


def _settings(options: argparse.Namespace) -> Settings:
    environment = Environment.load(config=options.config)
    return Settings.load(environment.config, namespace=environment.namespace)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice-operator audit",
        description="Print what was done to the voices of a namespace, or prove that nothing was taken out of it.",
    )
    parser.add_argument("verb", nargs="?", choices=("list", "verify"), default="list", help="default: %(default)s")
    parser.add_argument("-n", "--namespace", default="default", help="whose log (default: %(default)s)")
    parser.add_argument("--uri", help="folder of the logs, as s3://voices/audit (default: the configuration file's)")
    parser.add_argument("--config", type=Path, help="configuration file, where --uri or --public-key is not given")
    parser.add_argument("--voice", help="list: of this voice only")
    parser.add_argument("--act", help="list: of this kind only, as Revoked")
    parser.add_argument(
        "--public-key",
        type=Path,
        action="append",
        default=[],
        help="verify: file with the key of the seals, once for each that there was (default: the cluster's)",
    )
    parser.add_argument(
        "--head", action="append", default=[], help="verify: what an earlier verify printed, NUMBER:sha256:…"
    )
    parser.add_argument("--json", action="store_true", help="print JSON; a list as one document on each line")
    return parser
