"""Go over the keys of a whole Cluster, one primary after the other, while slots may move.

A key that moves from a node not yet scanned to one that has been is seen by neither. So where
slots have moved during a pass, or are moving, the nodes are gone over once more.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from typing import NamedTuple

from freshwell._sync.stores.cluster_nodes import Nodes
from freshwell._sync.stores.topology import Survey
from freshwell._kit.link_errors import LinkLost
from freshwell._kit.places import Address
from freshwell._kit.resp import unerring
from freshwell._kit.slots import moves_slots

__all__ = ["scan_step"]

_MAX_PASSES = 6


class _Place(NamedTuple):
    """Where a scan goes on: who owned what when the pass began, and the nodes that are left."""

    began: Survey
    left: tuple[Address, ...]
    inner: object
    moving: bool
    passes: int


def scan_step(
    nodes: Nodes, survey: Callable[[], Survey], pattern: bytes, place: object
) -> tuple[object, list[bytes]]:
    """Return some keys that match a glob, and the place to go on from. None: that is all.

    Raises `LinkLost` where slots go on moving for several passes.
    """
    at = place if isinstance(place, _Place) else _begin(nodes, survey, 1)
    inner, keys = nodes.link(at.left[0]).scan(pattern, at.inner)
    if inner is not None:
        return at._replace(inner=inner), keys
    if len(at.left) > 1:
        return at._replace(left=at.left[1:], inner=None), keys
    after = _begin(nodes, survey, at.passes + 1)
    if not at.moving and not after.moving and after.began.owners == at.began.owners:
        return None, keys
    if at.passes >= _MAX_PASSES:
        raise LinkLost("the slots of the cluster have moved all through a scan")
    return after, keys


def _begin(nodes: Nodes, survey: Callable[[], Survey], passes: int) -> _Place:
    began = survey()
    moving = False
    for address in began.primaries:
        reply = nodes.link(address).batch([(b"CLUSTER", b"NODES")], repeat=True)[0]
        moving = moving or moves_slots(unerring(reply))
    return _Place(began, began.primaries, None, moving, passes)
