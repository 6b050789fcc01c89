"""Dead letters and records of a journal as data, and as rows for people. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from freshwell.cli.facts import flag_names, span
from freshwell.cli.values import Hidden, decoded, shown
from freshwell.codecs.paper import is_hidden, marked
from freshwell.ground.ids import decode_id
from freshwell.ground.names import split
from freshwell.ground.records import DeadLetter, Kind, Record

__all__ = ["HEAD", "exported", "letter_facts", "letter_line", "letter_rows"]

HEAD: Final = ("sequence", "key", "id", "kind", "attempts", "age", "reason")
_MAX_CELL: Final = 60


def letter_facts(entry: Record | DeadLetter) -> dict[str, Any]:
    """Return what is known of a letter or a record, but for its value, for machines."""
    record = _record(entry)
    facts: dict[str, Any] = {
        "sequence": record.sequence,
        "key": split(record.name)[1],
        "id": _plain_id(record),
        "kind": _kind(record),
        "state": "pending",
        "attempts": record.attempts,
        "accepted": _moment(record.accepted_ms),
        "idempotency_id": record.token.hex(),
        "bytes": record.size,
    }
    if isinstance(entry, DeadLetter):
        facts["state"] = "dead"
        facts["died"] = _moment(entry.died_ms)
        facts["reason"] = entry.reason
        facts["superseded"] = entry.superseded
    return facts


def exported(entry: Record | DeadLetter) -> dict[str, Any]:
    """Return all of a letter or a record, for machines.

    With its `value` where it is one of JSON's; else with its `payload` in Base64, behind the number
    of the codec that wrote it, and with its `flags` where it is sealed, signed or compressed.
    """
    record = _record(entry)
    facts = letter_facts(entry)
    if record.kind & Kind.DELETE:
        return facts
    try:
        value = _value(record)
        if json.loads(json.dumps(value, allow_nan=False)) == value:
            return facts | {"value": value}
    except (Hidden, TypeError, ValueError, RecursionError):
        pass
    codec, flags, data = marked(record.payload)
    told = {"codec": codec or None, "payload": base64.b64encode(data).decode()}
    return facts | told | ({"flags": flag_names(flags)} if flags else {})


def letter_line(entry: Record | DeadLetter, now_ms: int) -> Sequence[str]:
    """Return the texts that stand below `HEAD`. They may have any characters."""
    record = _record(entry)
    age = span(max(0, now_ms - record.accepted_ms)) or ""
    reason = ""
    if isinstance(entry, DeadLetter):
        reason = f"{entry.reason} (superseded)" if entry.superseded else entry.reason
    key, id = split(record.name)[1], _shown_id(record)
    cells = (str(record.sequence), key, id, _kind(record), str(record.attempts), age, reason)
    return [cell if len(cell) <= _MAX_CELL else f"{cell[:_MAX_CELL]}..." for cell in cells]


def letter_rows(
    entry: Record | DeadLetter, now_ms: int, *, with_value: bool
) -> Sequence[tuple[str, str]]:
    """Return label and text of what there is to say. Texts may have any characters."""
    record = _record(entry)
    said: list[tuple[str, str | None]] = [
        ("sequence", str(record.sequence)),
        ("key", split(record.name)[1]),
        ("id", _shown_id(record)),
        ("kind", _kind(record)),
        ("accepted", _when(record.accepted_ms, now_ms)),
        ("attempts", str(record.attempts)),
    ]
    if isinstance(entry, DeadLetter):
        superseded = "a later write of its key is stored" if entry.superseded else None
        said += [
            ("state", "dead letter"),
            ("died", _when(entry.died_ms, now_ms)),
            ("reason", entry.reason),
            ("superseded", superseded),
        ]
    else:
        said.append(("state", "waits to be flushed"))
    said += [("idempotency id", record.token.hex()), ("size", f"{record.size:,} bytes")]
    if with_value and not record.kind & Kind.DELETE:
        text, note = _shown_value(record)
        said += [("value", text), ("value", note)]
    return [(label, text) for label, text in said if text is not None]


def _record(entry: Record | DeadLetter) -> Record:
    return entry.record if isinstance(entry, DeadLetter) else entry


def _kind(record: Record) -> str:
    return "delete" if record.kind & Kind.DELETE else "put"


def _value(record: Record) -> Any:
    """Return the value that a record gives its entry. Raises `Hidden`."""
    if not record.payload or not record.id:
        raise Hidden("not shown: it cannot be read")
    return decoded(*marked(record.payload), record.name.encode())


def _shown_value(record: Record) -> tuple[str | None, str | None]:
    try:
        return shown(_value(record))
    except Hidden as hidden:
        return None, str(hidden)


def _plain_id(record: Record) -> Any:
    """Return the id as the journal has it, JSON that says the types. None: it cannot be read.

    A sealed one cannot.
    """
    try:
        decode_id(record.id)
    except ValueError:
        return None
    return json.loads(record.id)


def _shown_id(record: Record) -> str:
    try:
        return repr(decode_id(record.id))
    except ValueError:
        return "(sealed)" if is_hidden(record.id) else "(cannot be read)"


def _moment(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # bytes that somebody else has put there
        return f"{at_ms} ms"


def _when(at_ms: int, now_ms: int) -> str:
    return f"{_moment(at_ms)} ({span(max(0, now_ms - at_ms))} ago)"
