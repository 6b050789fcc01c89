"""Who owns which slot of a Cluster: what its nodes tell of that, read and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.places import Address
from freshwell._kit.resp import Argument, Reply, unerring

__all__ = ["Owners", "SlotMap", "key_of", "moves_slots", "redirect_of", "slot_map_of"]

_SLOTS: Final = 16_384
_MAX_NODES: Final = 1_024
_PORTS: Final = range(1, 65_536)
_UNKNOWN: Final = (None, b"", b"?")
_SCRIPTS: Final = (b"EVALSHA", b"EVAL")

Owners = tuple[tuple[int, int, Address], ...]
"""First slot, last slot, and their primary: in order, and joined where they adjoin."""


class SlotMap:
    """The nodes of a Cluster and their slots, in the eyes of one node at one moment."""

    __slots__ = ("_table", "nodes", "owners", "primaries", "replicas")

    def __init__(self, owners: Owners, replicas: tuple[Address, ...]) -> None:
        self.owners = owners
        self.replicas = replicas
        self.primaries = tuple(sorted({primary for _, _, primary in owners}))
        self.nodes = frozenset((*self.primaries, *replicas))
        self._table: list[Address | None] = [None] * _SLOTS
        for first, last, primary in owners:
            self._table[first : last + 1] = [primary] * (last + 1 - first)

    def owner(self, slot: int) -> Address | None:
        """Return the primary of a slot. None: nobody is."""
        return self._table[slot]

    def learn(self, slot: int, owner: Address) -> None:
        """Note the owner that a node named; `owners` and the rest stay what they were."""
        self._table[slot] = owner


def slot_map_of(reply: Reply, host: str) -> SlotMap:
    """Return what the answer to CLUSTER SLOTS of a node at `host` says.

    Raises `ServerReplied` where it is an error, or has no known form.
    """
    try:
        ranges = sorted(_ranges(unerring(reply), host))
    except (TypeError, ValueError, IndexError):
        ranges = []
    nodes = {node for _, _, listed in ranges for node in listed}
    if not ranges or len(nodes) > _MAX_NODES:
        raise ServerReplied("the answer to CLUSTER SLOTS has an unknown form", code="PROTOCOL")
    replicas = {node for _, _, listed in ranges for node in listed[1:]}
    return SlotMap(_joined(ranges), tuple(sorted(replicas)))


def _ranges(reply: Any, host: str) -> Iterator[tuple[int, int, list[Address]]]:
    for first, last, *nodes in reply:
        if not 0 <= first <= last < _SLOTS or not nodes:
            raise ValueError
        yield first, last, [_address(node[0], node[1], host) for node in nodes]


def _address(name: Any, port: int, host: str) -> Address:
    if port not in _PORTS:
        raise ValueError
    return (host if name in _UNKNOWN else bytes.decode(name)), port


def _joined(ranges: Sequence[tuple[int, int, list[Address]]]) -> Owners:
    joined: list[tuple[int, int, Address]] = []
    for first, last, nodes in ranges:
        if joined and joined[-1][1] + 1 == first and joined[-1][2] == nodes[0]:
            first = joined.pop()[0]
        joined.append((first, last, nodes[0]))
    return tuple(joined)


def moves_slots(nodes: Reply) -> bool:
    """Tell whether a node says (CLUSTER NODES) that slots are on their way from it or to it."""
    if not isinstance(nodes, bytes):
        raise ServerReplied("the answer to CLUSTER NODES has an unknown form", code="PROTOCOL")
    own = [line.split() for line in nodes.splitlines() if b"myself" in line]
    return any(word.startswith(b"[") for line in own for word in line[8:])


def key_of(command: Sequence[Argument]) -> bytes:
    """Return the key of a command: what stands after its name, or after a script and a count."""
    key = command[3 if command[0] in _SCRIPTS else 1]
    return key if isinstance(key, bytes) else str(key).encode()


def redirect_of(error: ServerReplied, host: str) -> Address | None:
    """Return where an error of a node at `host` sends to. None: it names no place."""
    name, _, port = error.detail.rpartition(" ")[2].rpartition(":")
    if not (port.isdecimal() and int(port) in _PORTS):
        return None
    return (host if name in ("", "?") else name), int(port)
