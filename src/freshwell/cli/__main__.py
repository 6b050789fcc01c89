"""``python -m freshwell.cli``."""

from __future__ import annotations

from freshwell.cli import main

if __name__ == "__main__":
    main()
