"""Writes to a Cluster that wait for replicas: a WAIT on each node that was written to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock

from freshwell._async.stores.cluster import ClusterLink
from freshwell._async.stores.guard import GuardedWaits
from freshwell._async.stores.waited import WaitedLink
from freshwell._kit.aio import each
from freshwell._kit.aio_link import Link
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell._kit.places import Address
from freshwell._kit.resp import Argument, Reply

__all__ = ["ClusterWaits"]

_MAX_LINKS = 1_024
_NODES_AT_ONCE = 64
_MOVED = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY")


class ClusterWaits:
    """What `WaitedLink` is for one server: by the map of a `ClusterLink`, which stays open.

    What a node sends elsewhere is given to the `ClusterLink`, which follows; nobody has then
    waited for its replicas, and none are counted.
    """

    def __init__(
        self,
        link: ClusterLink,
        *,
        connect_timeout_s: float,
        command_timeout_s: float,
        replica_wait_ms: int,
    ) -> None:
        self._link = link
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = command_timeout_s + replica_wait_ms / 1_000
        self._mutex = Lock()
        self._waited: dict[Address, GuardedWaits] = {}
        self._closed = False

    async def batch_waited(
        self,
        commands: Sequence[Sequence[Argument]],
        min_replicas: int,
        wait_ms: int,
        *,
        repeat: bool = True,
    ) -> tuple[list[Reply], int]:
        """Send writes, and wait until replicas have them: see `Waits`."""
        owners = await self._link.owners(commands)
        groups: dict[Address, list[int]] = {}
        for i, owner in enumerate(owners):
            groups.setdefault(owner, []).append(i)
        replies: list[Reply] = [None] * len(commands)
        counts: list[int] = []

        async def write(owner: Address, places: list[int]) -> None:
            own = [commands[i] for i in places]
            found, count = await self._to(owner).batch_waited(
                own, min_replicas, wait_ms, repeat=repeat
            )
            counts.append(count)
            for i, reply in zip(places, found, strict=True):
                replies[i] = reply

        await each([partial(write, *group) for group in groups.items()], _NODES_AT_ONCE)
        astray = [i for i, reply in enumerate(replies) if _is_astray(reply)]
        if astray:
            counts.append(0)
            again = await self._link.batch([commands[i] for i in astray], repeat=repeat)
            for i, reply in zip(astray, again, strict=True):
                replies[i] = reply
        return replies, min(counts, default=0)

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        with self._mutex:
            self._closed = True
            waited = list(self._waited.values())
            self._waited.clear()
        for one in waited:
            await one.aclose()

    def _to(self, address: Address) -> GuardedWaits:
        with self._mutex:
            if self._closed:
                raise LinkLost("the link was closed")
            waited = self._waited.get(address)
            if waited is None:
                if len(self._waited) >= _MAX_LINKS:
                    raise LinkLost(f"the cluster has more than {_MAX_LINKS:,} nodes")
                link = Link(
                    self._link.endpoint(address),
                    connect_timeout_s=self._connect_timeout_s,
                    command_timeout_s=self._timeout_s,
                )
                longest_s = self._connect_timeout_s + self._timeout_s
                plain = WaitedLink(link, patience_s=2 * longest_s)
                waited = GuardedWaits(plain, self._link.guard(address))
                self._waited[address] = waited
        return waited


def _is_astray(reply: Reply) -> bool:
    return isinstance(reply, ServerReplied) and reply.code in _MOVED
