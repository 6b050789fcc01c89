"""The tables of ``freshwell top``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from freshwell.cli.fleet.model import NamespaceView, ProcessView, View
from freshwell.ground.snapshots import JournalState

__all__ = ["board", "spark"]

_BARS: Final = " ▁▂▃▄▅▆▇█"
_MOST_PROCESSES: Final = 40
_SPARKS: Final = 24
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


def board(view: View, where: str, *, processes: bool = True) -> RenderableType:
    """Return what is shown of one look."""
    if not view.namespaces:
        return Text(
            f"No process publishes a cache at {where}. Let them call cache.publish().",
            style="yellow",
        )
    parts: list[RenderableType] = [_namespaces(view.namespaces)]
    if processes:
        parts.append(_processes(view.processes))
    journals = [(one.namespace, journal) for one in view.namespaces for journal in one.journals]
    if journals:
        parts.append(_journals(journals))
    hot = [(one.namespace, key, reads) for one in view.namespaces for key, reads in one.hot]
    if hot:
        parts.append(_hot(hot))
    return Group(*parts)


def spark(values: Sequence[float | None]) -> str:
    """Return a line of bars for shares from 0 to 1. None leaves a gap."""
    steps = len(_BARS) - 2
    return "".join(
        " " if v is None else _BARS[1 + round(min(max(v, 0), 1) * steps)] for v in values
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _namespaces(found: Sequence[NamespaceView]) -> Table:
    columns = ("cache", "processes", "reads/s", "hit ratio", "so far", "loads/s", "stale/s")
    table = _table("Caches", *columns, "errors/s", "shed/s", "entries", "memory")
    for one in found:
        rates = one.rates
        table.add_row(
            Text(one.namespace),
            _of(one.processes, one.silent),
            f"{rates.reads:,.0f}",
            _share(rates.hit_ratio),
            Text(spark(one.history[-_SPARKS:]), style="green"),
            f"{rates.loads:,.1f}",
            _bad(rates.stale, "yellow"),
            _bad(rates.errors, "red"),
            _bad(rates.shed, "red"),
            f"{one.entries:,}",
            _size(one.bytes),
        )
    return table


def _processes(found: Sequence[ProcessView]) -> Table:
    columns = ("process", "cache", "reads/s", "hit ratio", "loads/s", "load p99", "memory answers")
    table = _table("Processes", *columns)
    for one in found[:_MOST_PROCESSES]:
        mode = one.snapshot.coherence
        table.add_row(
            Text(one.snapshot.process),
            Text(one.snapshot.namespace),
            f"{one.rates.reads:,.0f}",
            _share(one.rates.hit_ratio),
            f"{one.rates.loads:,.1f}",
            _seconds(one.load_p99_s),
            Text(mode if one.live else f"{mode}: no", style="" if one.live else "red"),
        )
    if len(found) > _MOST_PROCESSES:
        table.caption = f"and {len(found) - _MOST_PROCESSES:,} more"
    return table


def _journals(found: Sequence[tuple[str, JournalState]]) -> Table:
    table = _table("Journals", "journal", "cache", "writes", "size", "oldest", "dead", "source")
    for namespace, one in found:
        table.add_row(
            Text(one.name),
            Text(namespace),
            f"{one.records:,}",
            _size(one.bytes),
            _seconds(one.oldest_age_s),
            _bad(one.dead, "red"),
            Text("down", style="red") if one.source_down else "",
        )
    return table


def _hot(found: Sequence[tuple[str, str, int]]) -> Table:
    table = _table("Asked for most, beyond memory", "key", "cache", "reads")
    for namespace, key, reads in sorted(found, key=lambda one: -one[2])[:10]:
        table.add_row(Text(key), Text(namespace), f"{reads:,}")
    return table


def _of(processes: int, silent: int) -> Text:
    text = Text(f"{processes:,}")
    if silent:
        text.append(f" ({silent} silent)", style="red")
    return text


def _share(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"


def _bad(number: float, style: str) -> Text:
    shown = f"{number:,.1f}" if isinstance(number, float) else f"{number:,}"
    return Text(shown, style=style if number else "")


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1_000:
            return f"{count:,.0f} {unit}"
        count /= 1_000
    return f"{count:,.0f} {_UNITS[-1]}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds == float("inf"):
        return "more"
    return f"{seconds * 1_000:g} ms" if seconds < 1 else f"{seconds:,.1f} s"
