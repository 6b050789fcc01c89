"""The campaigns, and those of what is not safe: which must show that it is not."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.behind.director import Case
from tests.faults.behind.orders import Orders

__all__ = ["CASES", "CONTROLS", "SOURCE_KILLED", "long_form"]

_LEASE_S = 0.5
"""Shorter than the library's, so that a dead flusher's shards are soon another's to be killed."""

CASES = (
    Case("redis", Orders(lease_s=_LEASE_S, coalesce=False)),
    Case("redis, server killed", Orders(lease_s=_LEASE_S), fsync="always", server_kills=4),
    Case("file", Orders("file", coalesce=False), writers=1, flushers=1),
)
UNFLUSHED = Case("redis, server killed, never synced", Orders(), fsync="no", server_kills=4)
"""A kill takes nothing from the system's own memory. There is none such for ``everysec``: with
that a server that waits for a slow disk answers before it writes, so that a kill does lose."""
SOURCE_KILLED = Case("source killed", Orders(lease_s=_LEASE_S), kills=0, source_kills=2)
CONTROLS = (
    Case("memory", Orders("memory"), writers=1, flushers=0, kills=3),
    Case(
        "redis without a file, server killed",
        Orders(assume_durable=True),
        fsync=None,
        kills=0,
        server_kills=2,
    ),
    Case(
        "settled before it is stored",
        Orders("file", sabotage="settle first"),
        writers=1,
        flushers=1,
        kills=4,
    ),
)


def long_form(kills: int, lease_s: float) -> list[Case]:
    """Return the campaigns with so many kills of writers and of flushers, at the given lease."""
    return [
        replace(
            case,
            orders=replace(case.orders, lease_s=lease_s),
            kills=kills if case.kills else 0,
            server_kills=max(4, kills // 3) if case.server_kills else 0,
            source_kills=max(2, kills // 10) if case.source_kills else 0,
        )
        for case in (*CASES, UNFLUSHED, SOURCE_KILLED)
    ]
