"""Draw what was measured as bars, six small charts in one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from freshwell.cli.lab.errors import LabInputError, LabRunError
from freshwell.cli.lab.plan import Outcome

__all__ = ["check_plot", "saved_figure", "write_plot"]

_COLOURS: Final = ("#9aa0a6", "#d9a441", "#2f6fb0", "#3a9d6e")
_INK: Final = "#333333"
_ROOM_ABOVE: Final = 0.16


class _Panel(NamedTuple):
    """One chart. Values that span orders of magnitude are drawn on a logarithmic scale."""

    label: str
    value: Callable[[Outcome], float]
    logarithmic: bool
    text: Callable[[float], str]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _micros(value: float) -> str:
    return f"{value:,.1f} µs" if value < 1_000 else f"{value / 1_000:,.1f} ms"


_PANELS: Final = (
    _Panel("Hit ratio", lambda o: 100 * o.hit_ratio, False, lambda v: f"{v:.1f} %"),
    _Panel(
        "Reads that asked the source, per 1,000",
        lambda o: 1_000 * o.loads / max(1, o.reads),
        False,
        _count,
    ),
    _Panel("Stale reads", lambda o: o.stale_reads, False, _count),
    _Panel("Requests per second", lambda o: o.throughput, True, _count),
    _Panel("Read latency, median", lambda o: o.p50_us, True, _micros),
    _Panel("Read latency, 99th percentile", lambda o: o.p99_us, True, _micros),
)


def check_plot() -> None:
    """Raise `LabInputError` where there is nothing to draw with."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        raise LabInputError('--plot needs matplotlib: pip install "freshwell[lab]"') from None


def write_plot(path: Path, outcomes: Sequence[Outcome], title: str) -> None:
    """Draw the outcomes into a PNG. Raises `LabRunError` where the file cannot be written."""
    with saved_figure(path, title, rows=2, columns=3) as axes:
        for axis, panel in zip(axes, _PANELS, strict=True):
            _draw(axis, panel, outcomes)


@contextmanager
def saved_figure(path: Path, title: str, *, rows: int, columns: int) -> Iterator[list[Any]]:
    """Give the axes of a new picture, and write it as a PNG when they are drawn.

    Raises `LabRunError` where the file cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(13, 7.2),
        layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15),
        squeeze=False,
    )
    try:
        yield list(axes.flat)
        figure.suptitle(title, fontsize=12, color=_INK, x=0.012, ha="left")
        figure.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise LabRunError(f"--plot: {path} cannot be written: {error.strerror}") from None
    finally:
        plt.close(figure)


def _draw(axis: Any, panel: _Panel, outcomes: Sequence[Outcome]) -> None:
    names = [outcome.contender for outcome in outcomes]
    values = [float(panel.value(outcome)) for outcome in outcomes]
    bars = axis.bar(names, values, color=_COLOURS[: len(names)], width=0.66)
    axis.bar_label(bars, [panel.text(v) for v in values], fontsize=9, padding=2, color=_INK)
    axis.set_title(panel.label, fontsize=11, loc="left", color=_INK, fontweight="bold", pad=10)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="both", length=0, labelsize=9, labelcolor=_INK)
    axis.tick_params(axis="y", labelcolor="#888888")
    axis.set_axisbelow(True)
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    if panel.logarithmic and min(values) > 0:
        axis.set_yscale("log")
        axis.minorticks_off()
        axis.set_ylim(min(values) / 4, max(values) * 4)
        axis.set_title(
            f"{panel.label} (log)", fontsize=11, loc="left", color=_INK, fontweight="bold", pad=10
        )
    else:
        axis.set_ylim(0, max(max(values), 1.0) * (1 + _ROOM_ABOVE))
