"""The coherence view: how long one process goes on serving what another has invalidated."""

from __future__ import annotations
