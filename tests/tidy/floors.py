"""The floors of the house, from the ground up: imports go down only. See ARCHITECTURE.md."""

from __future__ import annotations

from typing import Final

__all__ = ["FLOORS", "NEIGHBOURS", "ROOT", "STANDARD_LIBRARY_ONLY", "TWINS"]

ROOT: Final = "freshwell"

FLOORS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("ground", ("freshwell.errors", "freshwell.ground", "freshwell.typing")),
    ("engines", ("freshwell._kit", "freshwell.codecs", "freshwell.engines")),
    ("stores", ("freshwell._async.stores", "freshwell._sync.stores")),
    ("coordination", ("freshwell._async.coordination", "freshwell._sync.coordination")),
    ("strategies", ("freshwell._async.strategies", "freshwell._sync.strategies")),
    ("facade", ("freshwell._async", "freshwell._sync")),
    ("shop window", (ROOT, "freshwell.journals")),
    (
        "doors",
        (
            "freshwell.cli",
            "freshwell.dashboard",
            "freshwell.django",
            "freshwell.fastapi",
            "freshwell.opentelemetry",
            "freshwell.prometheus",
            "freshwell.sqlalchemy",
            "freshwell.testing",
        ),
    ),
)
"""Name of each floor, and what stands on it. The longest name that fits a module is its own;
the root is the root alone, so a new module has to be given its place here."""

NEIGHBOURS: Final = frozenset(
    {
        ("freshwell.ground", "freshwell.errors"),
        ("freshwell.ground", "freshwell.typing"),
        ("freshwell.engines", "freshwell.codecs"),
        # The command line starts the dashboard, which shows what the command line reads.
        ("freshwell.cli", "freshwell.dashboard"),
        ("freshwell.dashboard", "freshwell.cli"),
    }
)
"""Who may import whom on the same floor, besides itself."""

TWINS: Final = ("freshwell._async", "freshwell._sync")
"""Neither imports the other."""

STANDARD_LIBRARY_ONLY: Final = FLOORS[0][1]
