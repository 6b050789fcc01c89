"""Start a Redis Cluster of one's own from real servers, move its slots, and make it fail over.

Its nodes are `Server`s: kill, freeze and restart them as any other. A node that is started again
finds its place by its own file, and takes part again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from tests.support.blocking import blocking_allowed
from tests.support.resp import ServerError
from tests.support.servers import Server

__all__ = ["SLOTS", "Cluster", "Move"]

SLOTS = 16384
_HOST = "127.0.0.1"
_GIVE_UP_S = 30.0
_GIVEN_UP_S = 6.0
"""A little longer than a server waits for the failover that it was asked for."""
_POLL_S = 0.01
_KEYS_AT_ONCE = 100
_MIGRATE_MS = 5_000
_NODE_TIMEOUT_MS = 1_500
_PATIENT_MS = 15_000

_Picture = tuple[tuple[int, int, int], ...]
"""First slot, last slot, and the port of their primary."""


class Cluster:
    """A cluster with its slots spread evenly, up on entering and gone on leaving.

    `replicas`: how many nodes follow a primary, one each; the first primaries get theirs first.
    A primary that is silent for 1.5 s is replaced by its replica.

    All methods return when what they say is done, as every node sees it. They may be called
    from async tests.
    """

    def __init__(self, *, primaries: int = 3, replicas: int = 3) -> None:
        self._wanted = primaries, replicas
        count = primaries + replicas
        ports = _free_ports(2 * count)
        self._bus = ports[count:]
        self.nodes = tuple(
            Server(
                arguments=[
                    *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                    *("--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
                    *("--repl-diskless-sync-delay", "0"),
                ]
            )
            for bus in self._bus
        )
        """Every node that there ever was, also those that are down."""
        for node, port in zip(self.nodes, ports[:count], strict=True):
            node.port = port

    def __repr__(self) -> str:
        return f"<Cluster ports={[node.port for node in self.nodes]}>"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.dispose()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()

    @property
    def url(self) -> str:
        """A URL that names the first nodes, but not all."""
        first = [f"{_HOST}:{node.port}" for node in self.nodes[: max(1, len(self.nodes) - 1)]]
        return f"redis+cluster://{','.join(first)}"

    @property
    def up(self) -> list[Server]:
        """The nodes that run and are not frozen."""
        return [node for node in self.nodes if node.running and not node.frozen]

    @property
    def primaries(self) -> list[Server]:
        """The nodes that are up and say that they are primaries."""
        return [node for node in self.up if node.ask("ROLE")[0] == b"master"]

    @property
    def replicas(self) -> list[Server]:
        """The nodes that are up and say that they follow another."""
        return [node for node in self.up if node.ask("ROLE")[0] == b"slave"]

    def start(self) -> None:
        """Start the nodes, join them, and wait until all of them take commands."""
        count, _ = self._wanted
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.nodes):
            # Equal epochs would be told apart by and by, and the map would change with them.
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.nodes[:count]):
            first, beyond = (SLOTS * n // count for n in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, beyond - 1)
        for number, node in enumerate(self.nodes):
            for other, bus in zip(self.nodes[number + 1 :], self._bus[number + 1 :], strict=True):
                node.ask("CLUSTER", "MEET", _HOST, other.port, bus)
        self._until(lambda: all(map(self._knows_all, self.nodes)), "all nodes know each other")
        for number, node in enumerate(self.nodes[count:]):
            node.ask("CLUSTER", "REPLICATE", self._id(self.nodes[number % count]))
        self._until(lambda: len(self.replicas) == self._wanted[1], "the replicas follow")
        self._until(self._all_in_step, "the replicas have what their primaries have")
        # A replica to which nothing was ever written is named to nobody.
        self.wipe()
        self._until(lambda: all(map(self._lists_all, self.nodes)), "all nodes list the replicas")
        self.settle()

    def bear_with_each_other(self) -> None:
        """Let nodes be silent for long before they are replaced: a busy machine is no reason."""
        for node in self.nodes:
            node.ask("CONFIG", "SET", "cluster-node-timeout", _PATIENT_MS)

    def dispose(self) -> None:
        """End all nodes and delete their files. Idempotent."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.dispose)

    def wipe(self) -> None:
        """Empty every primary and have it forget every script."""
        for node in self.primaries:
            node.wipe()

    def slot_of(self, key: bytes) -> int:
        """Return the slot of a key, as a server computes it."""
        slot: int = self.up[0].ask("CLUSTER", "KEYSLOT", key)
        return slot

    def primary_of(self, key: bytes) -> Server:
        """Return the node that owns the slot of a key, as the first node that is up sees it."""
        return self.owner(self.slot_of(key))

    def owner(self, slot: int) -> Server:
        """Return the node that owns a slot, as the first node that is up sees it."""
        for first, last, port in _picture(self.up[0]):
            if first <= slot <= last:
                return self.at(port)
        raise AssertionError(f"nobody owns slot {slot}")

    def at(self, port: int) -> Server:
        """Return the node that listens on a port."""
        return next(node for node in self.nodes if node.port == port)

    def replica_of(self, primary: Server) -> Server:
        """Return a replica of a primary that is up. Raises `AssertionError` where it has none."""
        for node in self.replicas:
            if node.ask("ROLE")[2] == primary.port:
                return node
        raise AssertionError(f"{primary!r} has no replica that is up")

    def failover(self, primary: Server) -> Server:
        """Have a replica take over from a healthy primary, which follows it; return the new one."""
        replica = self.replica_of(primary)
        self._until(lambda: self._takes_over(replica), f"{replica!r} is primary")
        self._until(lambda: primary in self.replicas, f"{primary!r} follows it")
        self.settle()
        return replica

    def migrate_slot(self, slot: int, to: Server) -> None:
        """Move a slot with its keys to another primary, as ``redis-cli --cluster reshard`` does."""
        with self.moving(slot, to):
            pass

    @contextmanager
    def moving(self, slot: int, to: Server) -> Iterator[Move]:
        """Begin to move a slot, let the test act in the middle of it, and then end it.

        Until keys are carried over, the old owner has them; for keys that it has not, it
        answers ASK. What was not carried when the test is done is carried then.
        """
        move = Move(self, slot, self.owner(slot), to)
        move.begin()
        yield move
        move.end()

    def settle(self) -> None:
        """Wait until all nodes that are up take commands and agree on who owns which slot."""
        self._until(self._agrees, "all nodes agree")

    # -- inside ------------------------------------------------------------------------------

    def _id(self, node: Server) -> str:
        name: bytes = node.ask("CLUSTER", "MYID")
        return name.decode()

    def _takes_over(self, replica: Server) -> bool:
        """Ask a replica to take over. Where that comes to nothing the server gives up, silently."""
        until_s = time.monotonic() + _GIVEN_UP_S
        if replica not in self.primaries:
            replica.ask("CLUSTER", "FAILOVER")
        while replica not in self.primaries:
            if time.monotonic() > until_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _knows_all(self, node: Server) -> bool:
        lines = node.ask("CLUSTER", "NODES").decode().splitlines()
        return len(lines) == len(self.nodes) and not any("handshake" in line for line in lines)

    def _lists_all(self, node: Server) -> bool:
        """Tell whether a node names each replica to callers."""
        ranges = node.ask("CLUSTER", "SLOTS")
        return len({node[1] for _, _, *nodes in ranges for node in nodes}) == len(self.nodes)

    def _agrees(self) -> bool:
        up = self.up
        facts = [node.ask("CLUSTER", "INFO") for node in up]
        return (
            all(b"cluster_state:ok" in fact for fact in facts) and len(set(map(_picture, up))) == 1
        )

    def _all_in_step(self) -> bool:
        return all(node.ask("ROLE")[3] == b"connected" for node in self.replicas)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _GIVE_UP_S
        with blocking_allowed():
            while True:
                with suppress(OSError, ServerError):
                    if holds():
                        return
                if time.monotonic() > deadline_s:
                    logs = "\n".join(f"{node!r}:\n{node.log()[-2000:]}" for node in self.nodes)
                    raise AssertionError(f"waited in vain until {what}\n{logs}")
                time.sleep(_POLL_S)


class Move:
    """A slot on its way from one primary to another."""

    def __init__(self, cluster: Cluster, slot: int, source: Server, target: Server) -> None:
        self._cluster = cluster
        self.slot = slot
        self.source = source
        self.target = target

    def begin(self) -> None:
        """Tell both that the slot is on its way."""
        for node, state, other in (
            (self.target, "IMPORTING", self.source),
            (self.source, "MIGRATING", self.target),
        ):
            node.ask("CLUSTER", "SETSLOT", self.slot, state, self._id(other))

    def carry(self, count: int = _KEYS_AT_ONCE) -> int:
        """Carry up to so many keys over, and return how many those were."""
        keys = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, count)
        if keys:
            words = ("MIGRATE", _HOST, self.target.port, "", 0, _MIGRATE_MS, "REPLACE", "KEYS")
            self.source.ask(*words, *keys)
        return len(keys)

    def end(self) -> None:
        """Carry over what is left, and make the target the owner, which every node learns."""
        while self.carry():
            pass
        name = self._id(self.target)
        rest = [n for n in self._cluster.primaries if n not in (self.target, self.source)]
        # The target first: a source that has let go of the slot would send callers to nobody.
        for node in (self.target, self.source, *rest):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", name)
        self._cluster.settle()

    def _id(self, node: Server) -> str:
        name: bytes = node.ask("CLUSTER", "MYID")
        return name.decode()


def _picture(node: Server) -> _Picture:
    """Return who owns which slots, in the eyes of one node."""
    ranges: list[Any] = node.ask("CLUSTER", "SLOTS")
    return tuple(sorted((first, last, primary[1]) for first, last, primary, *_ in ranges))


def _free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((_HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
