"""A look at all processes that publish their caches: for the terminal and the web page."""

from __future__ import annotations
