"""Whether a namespace's audit records are whole: nothing missing, altered, moved, or cut off behind a known head."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voice_operator.errors import InvalidDocument
from voice_operator.manifests.audit_record import AuditRecord, digest_of, is_signed, read_record
from voice_operator.reconcile.audit import Position
from voice_operator.signing import PublicKey


@dataclass(frozen=True)
class Break:
    """Something that is wrong with one record."""

    sequence: int
    message: str


def breaks_in(
    namespace: str,
    records: Iterable[tuple[int, bytes | None]],
    keys: tuple[PublicKey, ...],
    heads: Iterable[Position] = (),
) -> Iterator[Break]:
    """Yield what is wrong with a chain, in its order.

    ``records`` are the numbers from 1 to the newest one, each with its bytes, or None where there are none; ``heads``
    are records that are known, from elsewhere, to have been there.
    """
    known = {head.sequence: head.digest for head in heads}
    before: str | None = ""  # digest of the record before; None: there is none
    for sequence, data in records:
        expected = known.pop(sequence, None)
        if data is None:
            yield Break(sequence, "it is missing, and later ones are there")
            before = None
            continue
        digest = digest_of(data)
        problem = _problem(namespace, sequence, data, keys, before)
        if problem is None and expected not in {None, digest}:
            problem = f"it is {digest}, known is {expected}: the log was written anew from here, or before"
        if problem is not None:
            yield Break(sequence, problem)
        before = digest
    for sequence, digest in sorted(known.items()):
        yield Break(sequence, f"it is missing: the log is cut off before {digest}, which is known to have been there")


def _problem(namespace: str, sequence: int, data: bytes, keys: tuple[PublicKey, ...], before: str | None) -> str | None:
    try:
        record = read_record(data, "the object")
    except InvalidDocument as error:
        return f"it is no record: {error}"
    if not is_signed(data, keys):
        known = any(key.text == record.key for key in keys)
        return "it was altered: its signature is of another content" if known else f"it is signed by {record.key}"
    return _misplaced(record, namespace, sequence, before)


def _misplaced(record: AuditRecord, namespace: str, sequence: int, before: str | None) -> str | None:
    if (record.namespace, record.sequence) != (namespace, sequence):
        return f"it was moved: it is record {record.sequence} of {record.namespace}"
    if before is not None and record.previous != before:
        return f"it follows {record.previous or 'no record'}, but the one before it is {before or 'none'}"
    return None
