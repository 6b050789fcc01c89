"""Read the documentation's pages: their code, their expected output, their commands and links.

A page's Python is run as one program with the line numbers of the page, so that a traceback
names the line to look at. Where a block ends, the program prints a mark: what stands between
two marks is that block's output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Block", "Ran", "blocks", "commands", "links", "pages", "program", "run", "url"]

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = "<!-- output -->"

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_MARK = "--- end of block"
_LOG_RECORD = re.compile(r"^cache [\w.-]+: .*\n", re.MULTILINE)
"""What the library says in the log, which nobody has set up here: no error."""
_RUN_S = 50


@dataclass(frozen=True)
class Block:
    """One fenced block: its info string, its text, and the page's lines that hold the text."""

    info: str
    text: str
    first_line: int
    indented: bool
    is_output: bool

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def end_line(self) -> int:
        """The line of the closing fence."""
        return self.first_line + self.text.count("\n")


@dataclass(frozen=True)
class Ran:
    """What a program did. `outputs`: what each block of a page printed."""

    code: int
    outputs: list[str]
    errors: str


def pages() -> list[Path]:
    """Return every page of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def url(text: str) -> bool:
    """Tell whether a page or example wants the URL of a server."""
    return "FRESHWELL_URL" in text


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        indent, ticks, info = fence[1], fence[2], fence[3].strip()
        end = number + 1
        while end < len(lines) and lines[end].strip() != ticks:
            end += 1
        if end == len(lines):
            raise ValueError(f"the block that begins at line {number + 1} does not end")
        body = "".join(f"{line}\n" for line in lines[number + 1 : end])
        before = next((line for line in reversed(lines[:number]) if line.strip()), "")
        found.append(Block(info, body, number + 2, bool(indent), before.strip() == OUTPUT))
        number = end + 1
    return found


def program(text: str) -> str:
    """Return the page's Python as one program with the page's line numbers."""
    lines = [""] * (text.count("\n") + 1)
    for block in blocks(text):
        if block.info == "python":
            first = block.first_line - 1
            lines[first : block.end_line - 1] = block.text.split("\n")[:-1]
            lines[block.end_line - 1] = f"print({_MARK!r}, flush=True)"
    return "\n".join(lines).rstrip("\n") + "\n"


def run(file: Path, folder: Path, server_url: str | None = None) -> Ran:
    """Run a Python file in `folder`, with warnings as errors."""
    environment = {k: v for k, v in os.environ.items() if k != "FRESHWELL_URL"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    if server_url is not None:
        environment["FRESHWELL_URL"] = server_url
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    errors = _LOG_RECORD.sub("", done.stderr)
    return Ran(done.returncode, done.stdout.split(_MARK + "\n"), errors)


def commands(text: str, program_name: str) -> list[str]:
    """Return the first words given to a program in the page's console blocks."""
    wanted = re.compile(rf"^(?:\$ )?(?:[\w./-]*/)?{program_name} ([a-z][\w-]*)", re.MULTILINE)
    shells = [b for b in blocks(text) if b.language in ("console", "sh", "bash", "shell")]
    return [word for block in shells for word in wanted.findall(block.text)]


def links(text: str) -> list[str]:
    """Return the targets of the page's links to local files, without their anchors."""
    prose = text.split("\n")
    for block in blocks(text):
        prose[block.first_line - 1 : block.end_line - 1] = [""] * block.text.count("\n")
    targets = [target.partition("#")[0] for target in _LINK.findall("\n".join(prose))]
    return [target for target in targets if target and "://" not in target]
