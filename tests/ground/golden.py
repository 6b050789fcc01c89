"""The golden frames: bytes as released versions wrote them, and what they must decode to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from freshwell.ground.frame import Frame, State
from freshwell.ground.keys import digest8

FOLDER = Path(__file__).parent.parent / "golden" / "frame_v1"
_DESCRIBED: dict[str, Any] = json.loads((FOLDER / "frames.json").read_text("utf-8"))

KEY: bytes = _DESCRIBED["key"].encode()
NAMES: list[str] = sorted(_DESCRIBED["frames"])


def golden_bytes(name: str) -> bytes:
    return (FOLDER / f"{name}.bin").read_bytes()


def expected(name: str) -> Frame:
    """Return what the golden frame of this name must decode to."""
    said = _DESCRIBED["frames"][name]
    return Frame(
        State[said["state"]],
        said["flags"],
        said["codec"],
        bytes.fromhex(said["token"]),
        said["lease_until_ms"],
        said["fresh_until_ms"],
        said["born_ms"],
        said["cost_us"],
        digest8(KEY),
        tuple((bytes.fromhex(tag), bytes.fromhex(stamp)) for tag, stamp in said["stamps"]),
        memoryview(bytes.fromhex(said["payload"])),
    )
