"""Where the files of the repository are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

__all__ = ["PACKAGE", "REPOSITORY", "committed_files", "own_sources"]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = REPOSITORY / "src" / "freshwell"


def own_sources() -> list[Path]:
    """Return the Python files that are written by hand."""
    folders = ("src", "tools", "tests", "examples", "benchmarks")
    paths = (path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))
    return sorted(path for path in paths if "_sync" not in path.parts)


def committed_files() -> list[Path]:
    """Return the files under version control; without it, the sources and the pages."""
    asked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if asked.returncode == 0 and asked.stdout:
        listed = [REPOSITORY / name for name in asked.stdout.decode().split("\0") if name]
        return [path for path in listed if path.is_file()]
    return [*own_sources(), *REPOSITORY.glob("*.*"), *(REPOSITORY / "docs").rglob("*.md")]
