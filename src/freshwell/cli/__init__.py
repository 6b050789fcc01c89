"""The command line: ``freshwell``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line. Says what to install where its extra is missing (exit code 2)."""
    try:
        from freshwell.cli.app import app
    except ImportError as error:
        sys.stderr.write(f'{error}: the command line needs pip install "freshwell[cli,redis]"\n')
        raise SystemExit(2) from None
    app()
