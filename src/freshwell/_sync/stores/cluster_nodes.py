"""The nodes of a Cluster: a link to each that is used, and the map of their slots."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Lock

from freshwell._kit.threads_flights import Flights
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost
from freshwell._kit.places import Address, ClusterPlace
from freshwell._kit.slots import SlotMap, slot_map_of
from freshwell.errors import LoadCancelled, StoreUnavailable

__all__ = ["Nodes"]

_NS_PER_S = 1_000_000_000
_LEARN_EVERY_NS = 100_000_000
_STRAY_NS = 10_000_000_000
_MAX_LINKS = 1_024
_MAP = "map"
_SLOTS = (b"CLUSTER", b"SLOTS")


class Nodes:
    """Links to nodes, by address, and the slot map that any of them told last.

    Whoever needs a newer map shares the asking with all who need it then. It is asked for once
    in 100 ms at most. Links to nodes that have left the map are closed.
    """

    def __init__(
        self,
        place: ClusterPlace,
        *,
        connect_timeout_s: float,
        command_timeout_s: float,
        now_ns: Callable[[], int],
    ) -> None:
        self._place = place
        self._connect_timeout_s = connect_timeout_s
        self._command_timeout_s = command_timeout_s
        self._learn_ns = int(2 * (connect_timeout_s + command_timeout_s) * _NS_PER_S)
        self._now_ns = now_ns
        self._mutex = Lock()
        self._links: dict[Address, Link] = {}
        self._strays: dict[Address, int] = {}
        self._failed: set[Address] = set()
        self._near: Address | None = None
        self._asked_ns = now_ns() - _LEARN_EVERY_NS
        self._flights: Flights[SlotMap] = Flights()
        self._closed = False
        self.map: SlotMap | None = None

    def known(self) -> SlotMap:
        """Return the map that was learnt last. Raises `StoreUnavailable` where none ever was."""
        known = self.map
        if known is None:
            self.refresh()
            known = self.map
        if known is None:
            raise LinkLost(f"the {self._place!r} could not be reached a moment ago")
        return known

    def link(self, address: Address) -> Link:
        """Return the link to a node, made where there is none. Raises `LinkLost` when closed."""
        link = self._links.get(address)
        if link is not None:
            return link
        with self._mutex:
            if self._closed:
                raise LinkLost("the link was closed")
            link = self._links.get(address)
            if link is None:
                if len(self._links) >= _MAX_LINKS:
                    raise LinkLost(f"the cluster has more than {_MAX_LINKS:,} nodes")
                link = self._links[address] = self._link_to(self._place.at(*address))
        return link

    def connects(self, address: Address) -> int:
        """Return how often a node was connected to, by the link that there is to it."""
        link = self._links.get(address)
        return 0 if link is None else link.connects

    def server_ms(self, address: Address | None) -> int:
        """Return a node's clock as estimated now. 0 where it is not known."""
        link = None if address is None else self._links.get(address)
        return 0 if link is None else link.server_ms()

    def sent_to(self, address: Address) -> None:
        """Note that a node sends callers to this one, which the map may not name yet."""
        with self._mutex:
            self._near = address
            if len(self._strays) < _MAX_LINKS:
                self._strays[address] = self._now_ns()

    def failed(self, address: Address) -> None:
        """Note that a node did not answer: others are asked for the map before it."""
        with self._mutex:
            if len(self._failed) < _MAX_LINKS:
                self._failed.add(address)
            if self._near == address:
                self._near = None

    def refresh(self) -> None:
        """Learn the map anew, unless that was tried a moment ago.

        Raises `StoreUnavailable` where no node tells it, and none is known from before.
        """
        if self._now_ns() - self._asked_ns < _LEARN_EVERY_NS and _MAP not in self._flights:
            return
        try:
            self._flights.run((_MAP,), self._learn)
        except LoadCancelled:
            raise LinkLost("the link was closed") from None
        except StoreUnavailable:
            if self.map is None:
                raise

    def ask(self, address: Address) -> SlotMap:
        """Return the map as one node sees it now. Raises `StoreUnavailable`."""
        try:
            told = self._told(self.link(address), address[0])
        except StoreUnavailable:
            self.failed(address)
            raise
        with self._mutex:
            self._failed.discard(address)
        return told

    def adopt(self, told: SlotMap) -> None:
        """Take what a node told for the map, and close the links to nodes that are not in it."""
        with self._mutex:
            self.map = told
            self._failed &= told.nodes
            old_ns = self._now_ns() - _STRAY_NS
            self._strays = {a: ns for a, ns in self._strays.items() if ns > old_ns}
            # A node that is about to get its first slot is in no map yet.
            gone = [a for a in self._links if a not in told.nodes and a not in self._strays]
            links = [self._links.pop(address) for address in gone]
        for link in links:
            link.close()

    def close(self) -> None:
        """Close all links. Idempotent."""
        with self._mutex:
            self._closed = True
            links = list(self._links.values())
            self._links.clear()
        for link in links:
            link.close()
        self._flights.close(0)

    def _learn(self, keys: Sequence[str]) -> Mapping[str, SlotMap]:
        """Ask one node after another for the map, until one tells it or the time is over."""
        deadline_ns = self._now_ns() + self._learn_ns
        try:
            for candidate in self._candidates():
                with suppress(StoreUnavailable):
                    if isinstance(candidate, Endpoint):
                        told = self._ask_seed(candidate)
                    else:
                        told = self.ask(candidate)
                    self.adopt(told)
                    return dict.fromkeys(keys, told)
                if self._now_ns() >= deadline_ns or self._closed:
                    break
        finally:
            with self._mutex:
                self._asked_ns = self._now_ns()
        raise LinkLost(f"no node of the {self._place!r} tells its slots")

    def _candidates(self) -> Iterator[Address | Endpoint]:
        """Return whom to ask: who was named last, then who answers, then seeds, then the rest."""
        known = self.map
        nodes = [] if known is None else [*known.primaries, *known.replicas]
        random.shuffle(nodes)
        with self._mutex:
            near, self._near = self._near, None
            failed = set(self._failed)
        if near is not None:
            yield near
        yield from (node for node in nodes if node not in failed and node != near)
        yield from self._place.seeds
        yield from (node for node in nodes if node in failed)

    def _ask_seed(self, seed: Endpoint) -> SlotMap:
        link = self._link_to(seed)
        try:
            return self._told(link, seed.host)
        finally:
            link.close()

    def _told(self, link: Link, host: str) -> SlotMap:
        return slot_map_of(link.batch([_SLOTS], repeat=True)[0], host)

    def _link_to(self, endpoint: Endpoint) -> Link:
        return Link(
            endpoint,
            connect_timeout_s=self._connect_timeout_s,
            command_timeout_s=self._command_timeout_s,
            now_ns=self._now_ns,
        )
