"""Look whether the servers may keep a journal, before the first write and now and then."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from freshwell._kit.threads import Gate
from freshwell._kit.link_errors import LinkTimeout
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import JournalUnfit
from freshwell.ground.fitness import (
    Facts,
    Unfit,
    Verdict,
    Warned,
    facts_in_config,
    facts_in_info,
    judge_fitness,
)
from freshwell.ground.records import Durability

__all__ = ["Ask", "Fitness", "facts_of"]

_LOGGER: Final = logging.getLogger("freshwell")
_EVERY_NS: Final = 60_000_000_000
_AGAIN_NS: Final = 1_000_000_000
"""How long an unfit server is not asked again."""
_CONFIG: Final = (b"CONFIG", b"GET", b"maxmemory-policy", b"appendonly", b"appendfsync")
_INFO: Final = ((b"INFO", b"memory"), (b"INFO", b"persistence"))

Ask = Callable[[Sequence[Sequence[Argument]]], list[list[Reply]]]
"""Sends commands without keys to every server that takes writes, and returns what each says."""


class Fitness:
    """Whether a journal's servers may keep it, as they said within the last minute.

    Belongs to the journal's home. What only the user's word stands for is logged, once.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        durability: Durability,
        assumed: bool,
        patience_s: float,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._ask = ask
        self._durability = durability
        self._assumed = assumed
        self._patience_s = patience_s
        self._now_ns = now_ns
        self._gate = Gate(1)
        self._due_ns = now_ns()
        self._unfit: Unfit | None = None
        self._forbidden = False
        self._said: set[str] = set()
        self.was_fit = False
        """Whether the servers have been found fit at some time."""

    def check(self) -> None:
        """Raise `JournalUnfit` unless the servers may keep the journal; ask them where it is due.

        Raises `StoreUnavailable` where they do not answer.
        """
        if self._now_ns() >= self._due_ns:
            self._look()
        unfit = self._unfit
        if unfit is not None:
            raise JournalUnfit(f"{unfit.reason}: {unfit.cure}")

    def _look(self) -> None:
        if not self._gate.enter(self._patience_s):
            raise LinkTimeout("the servers were asked for too long what they are fit for")
        try:
            if self._now_ns() < self._due_ns:
                return
            verdicts = self._verdicts()
            self._unfit = next((v for v in verdicts if isinstance(v, Unfit)), None)
            if self._unfit is None:
                self.was_fit = True
            for verdict in verdicts:
                if isinstance(verdict, Warned):
                    self._warn(verdict.reason)
            pause_ns = _EVERY_NS if self._unfit is None else _AGAIN_NS
            self._due_ns = self._now_ns() + pause_ns
        finally:
            self._gate.leave()

    def _verdicts(self) -> list[Verdict]:
        return [
            judge_fitness(facts, self._durability, assumed=self._assumed)
            for facts in self._facts()
        ]

    def _facts(self) -> list[Facts]:
        """Ask for settings, and where that is refused, for what anybody may know."""
        if not self._forbidden:
            known = _in_config(self._ask)
            if known is not None:
                return known
            # Each refusal is noted in the server's log: one is enough.
            self._forbidden = True
        return _in_info(self._ask)

    def _warn(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            _LOGGER.warning("a journal may lose accepted writes: %s", reason)


def facts_of(ask: Ask) -> list[Facts]:
    """Return what every server tells of its settings, by whichever way it tells."""
    known = _in_config(ask)
    return _in_info(ask) if known is None else known


def _in_config(ask: Ask) -> list[Facts] | None:
    """Return what the settings of each server say. None: some do not tell."""
    told = [facts_in_config(reply) for (reply,) in ask([_CONFIG])]
    known = [facts for facts in told if facts is not None]
    return known if len(known) == len(told) else None


def _in_info(ask: Ask) -> list[Facts]:
    return [facts_in_info(*replies) for replies in ask(_INFO)]
