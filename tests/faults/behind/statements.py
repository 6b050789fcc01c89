"""The tables of a campaign, and what is said to them. Each statement takes a whole batch."""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["KEPT", "LOAD", "LOG", "LOGGED", "SCHEMA", "STORE", "STORE_UNFENCED"]

SCHEMA: Final[tuple[LiteralString, ...]] = (
    "CREATE TABLE kept (id bigint PRIMARY KEY, value text NOT NULL, fence bigint NOT NULL)",
    # What was delivered, and whether it was applied. For the writes of one row that were applied,
    # `at` is the order of their commits: it is given while the row is locked.
    "CREATE TABLE log (at bigserial PRIMARY KEY, id bigint, value text, sequence bigint, "
    "token text, attempt int, applied boolean)",
)
STORE_UNFENCED: Final[LiteralString] = (
    "INSERT INTO kept AS k (id, value, fence) "
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) "
    "ON CONFLICT (id) DO UPDATE SET value = excluded.value, fence = excluded.fence "
    "RETURNING k.id"
)
STORE: Final[LiteralString] = (
    "INSERT INTO kept AS k (id, value, fence) "
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) "
    "ON CONFLICT (id) DO UPDATE SET value = excluded.value, fence = excluded.fence "
    "WHERE k.fence < excluded.fence RETURNING k.id"
)
LOG: Final[LiteralString] = (
    "INSERT INTO log (id, value, sequence, token, attempt, applied) "
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::int[], "
    "%s::boolean[])"
)
LOAD: Final[LiteralString] = "SELECT id, value FROM kept WHERE id = ANY(%s::bigint[])"
KEPT: Final[LiteralString] = "SELECT id, value, fence FROM kept"
LOGGED: Final[LiteralString] = (
    "SELECT id, value, sequence, token, attempt, applied FROM log ORDER BY at"
)
