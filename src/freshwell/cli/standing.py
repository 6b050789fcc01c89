"""How a journal stands: what it holds, who flushes it, what its servers are set to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from freshwell._sync.stores.journal_places import servers_at
from freshwell.cli.desks import AtDesk
from freshwell.cli.facts import span
from freshwell.cli.target import counted
from freshwell.ground.fitness import Facts, Fit, judge_fitness
from freshwell.ground.records import Backlog, Durability

__all__ = ["Standing", "standing_of"]

_EVICTS = "allkeys-"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a journal. `flushers`: of each shard, empty where nobody flushes it."""

    journal: str
    backlog: Backlog
    flushers: tuple[str, ...]
    servers: tuple[Facts, ...]

    @property
    def looks(self) -> Sequence[str]:
        """Return what somebody should look at."""
        found = []
        if self.backlog.dead:
            found.append(f"{counted(self.backlog.dead, 'dead letter')}: see freshwell journal list")
        if self.backlog.records and not any(self.flushers):
            found.append("writes wait, and nobody flushes: start a process, or flush-worker")
        if any((server.policy or "").startswith(_EVICTS) for server in self.servers):
            found.append("a server may evict accepted writes: see its maxmemory-policy")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, for machines."""
        backlog = asdict(self.backlog)
        del backlog["parked"], backlog["source_down"]  # a flusher's own, which is elsewhere
        servers = [
            {"maxmemory_policy": s.policy, "appendonly": s.appended, "appendfsync": s.synced}
            for s in self.servers
        ]
        known = {"journal": self.journal, **backlog, "flushers": self.flushers}
        return {**known, "servers": servers, "looks": self.looks}

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return label and text of what there is to say."""
        held = self.backlog
        return [
            ("journal", self.journal),
            ("waiting", f"{counted(held.records, 'record')}, {counted(held.bytes, 'byte')}"),
            ("oldest", f"{span(round(held.oldest_age_s * 1_000))} old" if held.records else "none"),
            ("dead", counted(held.dead, "dead letter")),
            ("durability", held.durability),
            *(("flushed by", text) for text in _who(self.flushers)),
            *(("server", text) for server in self.servers for text in _server(server)),
            *(("look at", text) for text in self.looks),
        ]


def standing_of(at: AtDesk) -> Standing:
    """Ask how a journal stands.

    Raises `ConfigurationError` where there is none, `JournalUnavailable` and `StoreUnavailable`.
    """
    backlog = at.desk.backlog()
    servers = () if at.place is None else servers_at(at.place)
    return Standing(at.called, backlog, tuple(at.desk.flushers()), tuple(servers))


def _who(flushers: Sequence[str]) -> Sequence[str]:
    """Return who flushes which shards, those of one in one line."""
    if len(set(flushers)) == 1:
        return [flushers[0] or "nobody"]
    by_name = sorted(enumerate(flushers), key=lambda pair: (pair[1], pair[0]))
    groups = itertools.groupby(by_name, key=lambda pair: pair[1])
    return [
        f"{name or 'nobody'} (shards {', '.join(str(shard) for shard, _ in its)})"
        for name, its in groups
    ]


def _server(facts: Facts) -> Sequence[str]:
    appended = {None: "not told", True: "yes", False: "no"}[facts.appended]
    synced = f", appendfsync {facts.synced}" if facts.synced and facts.appended else ""
    said = f"maxmemory-policy {facts.policy or 'not told'}, appendonly {appended}{synced}"
    verdict = judge_fitness(facts, Durability.REDIS, assumed=True)
    return [said] if isinstance(verdict, Fit) else [said, verdict.reason]
