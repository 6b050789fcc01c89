"""Commands to a Redis Cluster: each to the node that owns its key's slot, wherever that moves.

One link per node, and one write per node for all commands that are given together. A node that
sends elsewhere is followed; what the map of the slots lacks is learnt from any node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from freshwell._async.stores.cluster_nodes import Nodes
from freshwell._async.stores.cluster_scan import scan_step
from freshwell._async.stores.guard import Guard, GuardOf, unguarded
from freshwell._async.stores.topology import Survey
from freshwell._kit.aio import each, sleep
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LeftAlone, LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.places import Address, ClusterPlace
from freshwell._kit.resp import Argument, Reply, not_text
from freshwell._kit.slots import SlotMap, key_of, redirect_of
from freshwell.errors import StoreUnavailable

__all__ = ["ClusterLink"]

_NS_PER_S = 1_000_000_000
_NODES_AT_ONCE = 64
_PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.16)
"""How long to wait before each further try, where the Cluster asks for patience."""
_ELSEWHERE = ("MOVED", "ASK")
_LATER = ("TRYAGAIN", "CLUSTERDOWN", "LOADING")
_ASKING = (b"ASKING",)
_SURVEYS = 2


class _Step:
    """A command on its way: where it goes next, where it was last, and what came of that."""

    __slots__ = ("asking", "at", "command", "moved", "outcome", "repeated", "slot", "target")

    def __init__(self, command: Sequence[Argument], slot: int) -> None:
        self.command = command
        self.slot = slot
        self.target: Address | None = None
        """Where a node has sent it. None: to the slot's owner."""
        self.asking = False
        self.at: Address | None = None
        self.outcome: Reply = None
        """A reply, or the `StoreUnavailable` that stands in its place."""
        self.repeated = self.moved = False

    @property
    def code(self) -> str:
        """What the node answered, where that was an error, else an empty text."""
        return self.outcome.code if isinstance(self.outcome, ServerReplied) else ""

    @property
    def has_failed(self) -> bool:
        """Tell whether no node has answered it."""
        return isinstance(self.outcome, StoreUnavailable) and not self.code

    @property
    def was_lost(self) -> bool:
        """Tell whether it was sent, and no node has answered it."""
        return self.has_failed and not isinstance(self.outcome, LeftAlone)


class ClusterLink:
    """Commands to a Cluster: what `Link` is for one server. Belongs to the same home.

    - Every command has one key: its first argument, or a script's.
    - A command that a node sends elsewhere goes there at once; one that the Cluster cannot take
      just now waits a moment. Both at most five times, and not beyond `command_timeout_s`; then
      the error stands in its place.
    - Where a node is lost, the map is learnt from the others. With `repeat`, its commands are
      given once more, to who owns their slots then.

    - `guard_of` has a guard for each node that is asked. A node that is down costs those who
      need it a time limit once, and the others nothing.

    `in_order`: nodes are written to side by side. Raises `StoreUnavailable` alone: `LinkLost`,
    `LinkTimeout`, `ServerReplied`, `LeftAlone`. Where a batch goes to several nodes and one of
    them is lost, the others have done their part all the same.
    """

    in_order = False

    def __init__(
        self,
        place: ClusterPlace,
        *,
        connect_timeout_s: float = 0.5,
        command_timeout_s: float = 0.25,
        now_ns: Callable[[], int] = time.monotonic_ns,
        guard_of: GuardOf = unguarded,
        probe_key: bytes = b"probe",
    ) -> None:
        from redis.crc import key_slot

        self._place = place
        self._guard_of = guard_of
        self._probe_key = probe_key
        self._slot_of = key_slot
        self._timeout_ns = int(command_timeout_s * _NS_PER_S)
        self._now_ns = now_ns
        self._nodes = Nodes(
            place,
            connect_timeout_s=connect_timeout_s,
            command_timeout_s=command_timeout_s,
            now_ns=now_ns,
        )

    @property
    def connects(self) -> int:
        """How many connections the links to the nodes of the map have made."""
        known = self._nodes.map
        return 0 if known is None else sum(map(self._nodes.connects, known.nodes))

    def server_ms(self, key: bytes = b"") -> int:
        """Return the clock of the node that owns `key`, as estimated now. 0: not known yet."""
        known = self._nodes.map
        return 0 if known is None else self._nodes.server_ms(known.owner(self._slot_of(key)))

    def endpoint(self, address: Address) -> Endpoint:
        """Return how to reach the node at an address."""
        return self._place.at(*address)

    async def get(self, key: bytes) -> bytes | None:
        """GET, given once more where the connection was lost. No text: as if it were empty."""
        slot = self._slot_of(key)
        known = self._nodes.map
        owner = None if known is None else known.owner(slot)
        if owner is None:
            return (await self.get_many([key]))[0]
        guard = self._guard_of(owner, self._probe)
        calm = guard.calm
        if not calm and (refusal := guard.refusal()) is not None:
            raise refusal
        try:
            found = await self._nodes.link(owner).get(key)
        except StoreUnavailable as error:
            step = _Step((b"GET", key), slot)
            step.at, step.outcome = owner, error
        else:
            if not calm:
                guard.answered()
            return found
        if step.was_lost:
            self._failed(owner, step.outcome)
        await self._follow([step], repeat=True)
        return _text(step.outcome)

    async def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """GET `key` and each of those `beside` it, in one write for each node."""
        value, *others = await self.get_many([key, *beside])
        return value, others

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """GET each of the keys, in one write for each node."""
        return [
            _text(reply) for reply in await self.batch([(b"GET", k) for k in keys], repeat=True)
        ]

    async def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands, in one write for each node. Errors stand in the answer, in their place."""
        steps = [_Step(command, self._slot_of(key_of(command))) for command in commands]
        await self._carry(steps, repeat=repeat)
        for step in steps:
            if step.has_failed:
                raise step.outcome
        return [step.outcome for step in steps]

    def guard(self, address: Address | None) -> Guard:
        """Return the guard of a node, or of the map where none is known (None)."""
        return self._guard_of(address, self._probe)

    async def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """SCAN of all primaries. Return some keys, and the place to go on from. None: that is all.

        Keys that exist all the time come at least once, also where slots move meanwhile.
        """
        return await scan_step(self._nodes, self.survey, pattern, place)

    async def owners(self, commands: Sequence[Sequence[Argument]]) -> list[Address]:
        """Return who owns the slot of each command's key, as far as is known now."""
        known = await self._known()
        found = [known.owner(self._slot_of(key_of(command))) for command in commands]
        owned = [owner for owner in found if owner is not None]
        if len(owned) < len(found):
            raise ServerReplied("no node owns the key's slot", code="CLUSTERDOWN")
        return owned

    async def on_primaries(self, commands: Sequence[Sequence[Argument]]) -> list[list[Reply]]:
        """Send commands without keys to every primary, and return what each of them answers."""
        primaries = (await self.survey()).primaries
        links = [self._nodes.link(address) for address in primaries]
        return await each(
            [partial(link.batch, commands, repeat=True) for link in links], _NODES_AT_ONCE
        )

    async def survey(self) -> Survey:
        """Return what all primaries that own slots have confirmed since the call began.

        Raises `StoreUnavailable` where one of them does not answer, or sees it otherwise; the
        map is learnt anew then.
        """
        known = await self._nodes.known()
        try:
            for _ in range(_SURVEYS):
                told = await each(
                    [partial(self._nodes.ask, address) for address in known.primaries],
                    _NODES_AT_ONCE,
                )
                asked, known = known.primaries, told[0]
                if any(other.owners != known.owners for other in told):
                    raise LinkLost("the nodes of the cluster do not agree on who owns its slots")
                await self._nodes.adopt(known)
                if known.primaries == asked:
                    return _survey(told)
            raise LinkLost("the cluster changes who owns its slots")
        except StoreUnavailable:
            await self._nodes.refresh()
            raise

    async def aclose(self) -> None:
        """Close the connections. What waits for replies gets `LinkLost`. Idempotent."""
        await self._nodes.aclose()

    async def _carry(self, steps: Sequence[_Step], *, repeat: bool) -> None:
        """Give commands to the owners of their slots, and on from there until they are done."""
        await self._send(steps)
        await self._follow(steps, repeat=repeat)

    async def _follow(self, steps: Sequence[_Step], *, repeat: bool) -> None:
        """Give commands that a node has not done to who can do them, within bounds."""
        deadline_ns = self._now_ns() + self._timeout_ns
        todo = steps
        for pause_s in _PAUSES_S:
            todo = [s for s in todo if self._redirect(s) or s.code in _LATER or s.was_lost]
            if not todo:
                break
            late = self._now_ns() + int(pause_s * _NS_PER_S) > deadline_ns
            if not late and any(step.code in _LATER for step in todo):
                await sleep(pause_s)
            if any(step.target is None for step in todo):
                with suppress(StoreUnavailable):
                    await self._nodes.refresh()
            todo = [step for step in todo if self._goes_on(step, repeat, late)]
            await self._send(todo)
        for step in steps:
            self._learn_from(step)
        if any(step.moved for step in steps):
            # After the command, which does not wait for it: the node it went to is asked first.
            await self._nodes.refresh()

    async def _known(self) -> SlotMap:
        known = self._nodes.map
        return await self.guard(None).carry(self._nodes.known) if known is None else known

    def _learn_from(self, step: _Step) -> None:
        """Tell a node's guard what came of a command in the end."""
        if step.at is None or isinstance(step.outcome, LeftAlone):
            return
        guard = self.guard(step.at)
        if isinstance(step.outcome, StoreUnavailable):
            guard.failed(step.outcome, repeated=step.repeated)
        else:
            guard.answered()

    def _failed(self, address: Address, error: StoreUnavailable) -> None:
        """Note that a node did not answer, before others are asked who answers in its place."""
        self._nodes.failed(address)
        self.guard(address).failed(error, repeated=False)

    async def _probe(self, address: Address | None) -> None:
        """Ask a node what callers ask. One that has left the map is not waited for."""
        await self._nodes.refresh()
        known = await self._nodes.known()
        if address is not None and address in known.nodes:
            await self._nodes.link(address).get(self._probe_key)

    def _redirect(self, step: _Step) -> bool:
        """Aim a command at where a node has sent it. False: nowhere, so that the map decides."""
        step.target, step.asking = None, False
        if step.code not in _ELSEWHERE or step.at is None:
            return False
        step.target = redirect_of(step.outcome, step.at[0])
        if step.target is None:
            return False
        step.asking = step.code == "ASK"
        self._nodes.sent_to(step.target)
        known = self._nodes.map
        if not step.asking and known is not None:
            step.moved = True
            known.learn(step.slot, step.target)
        return True

    def _goes_on(self, step: _Step, repeat: bool, late: bool) -> bool:
        """Tell whether a command that was not done is given once more."""
        if not step.was_lost:
            return not late
        known = self._nodes.map
        if not repeat or step.repeated or known is None:
            return False
        step.repeated = True
        # A node that was silent for the whole of the time limit would be so again.
        return not isinstance(step.outcome, LinkTimeout) or known.owner(step.slot) != step.at

    async def _send(self, steps: Sequence[_Step]) -> None:
        """Send commands to where they go now, the nodes side by side, and note what comes back."""
        if not steps:
            return
        try:
            known = await self._known()
        except StoreUnavailable as error:
            for step in steps:
                step.outcome = error
            return
        groups: dict[Address, list[_Step]] = {}
        for step in steps:
            step.at = step.target or known.owner(step.slot)
            if step.at is None:
                step.outcome = ServerReplied("no node owns the key's slot", code="CLUSTERDOWN")
            elif (refusal := self.guard(step.at).refusal()) is not None:
                step.outcome = refusal
            else:
                groups.setdefault(step.at, []).append(step)
        calls = [partial(self._send_to, address, group) for address, group in groups.items()]
        if len(calls) == 1:
            await calls[0]()
        else:
            await each(calls, _NODES_AT_ONCE)

    async def _send_to(self, address: Address, steps: Sequence[_Step]) -> None:
        commands: list[Sequence[Argument]] = []
        for step in steps:
            if step.asking:
                commands.append(_ASKING)
            commands.append(step.command)
        try:
            replies = iter(await self._nodes.link(address).batch(commands))
        except StoreUnavailable as error:
            self._failed(address, error)
            for step in steps:
                step.outcome = error
            return
        for step in steps:
            if step.asking:
                next(replies)
            step.outcome = next(replies)


def _text(outcome: Reply) -> bytes | None:
    """Return what a GET was answered by. No text: as if it were empty."""
    if outcome.__class__ is bytes or outcome is None:
        return outcome
    if isinstance(outcome, StoreUnavailable) and not isinstance(outcome, ServerReplied):
        raise outcome
    return not_text(outcome)


def _survey(told: Sequence[SlotMap]) -> Survey:
    primaries = told[0].primaries
    replicas = {replica for one in told for replica in one.replicas}
    return Survey(primaries, tuple(sorted(replicas.difference(primaries))), told[0].owners)
