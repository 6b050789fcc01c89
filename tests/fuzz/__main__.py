"""Fuzz every target with atheris, one after the other: ``python -m tests.fuzz --seconds 60``.

A target that fails leaves the bytes in ``.fuzz/``, and they are printed with how to try them again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / ".fuzz"
NAMES: Final = ("frames", "codecs", "records", "urls", "names")
_GRACE_S: Final = 120
_MAX_BYTES: Final = 4_096


def main(arguments: list[str] | None = None) -> int:
    """Run the targets that are asked for. Return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--again", type=Path, help="a file with the bytes of a failure")
    given = parser.parse_args(arguments)
    unknown = set(given.targets) - set(NAMES)
    if unknown or (given.again and len(given.targets) != 1):
        parser.error(f"give targets out of {', '.join(NAMES)}, and one with --again")
    if given.again:
        return _again(given.targets[0], given.again)
    if given.one:
        _fuzz(given.one, given.seconds, given.seed)
    print(f"seed {given.seed}, {given.seconds} s for each target")
    failed = [name for name in given.targets or NAMES if not _run(name, given.seconds, given.seed)]
    print(f"failed: {', '.join(failed)}" if failed else "no target failed")
    return 1 if failed else 0


def _run(name: str, seconds: int, seed: int) -> bool:
    """Fuzz a target in a process of its own, which libFuzzer ends. Tell whether it held."""
    FOLDER.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", "--one", name]
    words = [*command, "--seconds", str(seconds), "--seed", str(seed)]
    log = FOLDER / f"{name}.log"
    with log.open("wb") as out:
        done = subprocess.run(
            words, stdout=out, stderr=out, timeout=seconds + _GRACE_S, check=False
        )
    text = log.read_text("utf-8", "replace")
    runs = [line for line in text.splitlines() if line.startswith("Done ")]
    print(f"{name:8} {runs[-1] if runs else 'did not finish'}", flush=True)
    if done.returncode:
        print(text[-4_000:])
        print(f"the whole of it: {log}; again: python -m tests.fuzz {name} --again FILE")
    return not done.returncode


def _fuzz(name: str, seconds: int, seed: int) -> None:
    """Fuzz one target in this process. Does not return."""
    import atheris

    with atheris.instrument_imports(include=["freshwell"]):
        from tests.fuzz.targets import HINTS, TARGETS
    own = FOLDER / name
    own.mkdir(parents=True, exist_ok=True)
    for number, hint in enumerate(HINTS[name]):
        (own / f"hint-{number}").write_bytes(hint)
    flags = {
        "max_total_time": seconds,
        "seed": seed,
        "max_len": _MAX_BYTES,
        "timeout": 20,
        "rss_limit_mb": 2_048,
        "artifact_prefix": f"{FOLDER}/{name}-",
        "print_final_stats": 0,
    }
    words = [sys.argv[0], *(f"-{flag}={value}" for flag, value in flags.items()), str(own)]
    atheris.Setup(words, TARGETS[name])
    atheris.Fuzz()


def _again(name: str, file: Path) -> int:
    from tests.fuzz.targets import TARGETS

    TARGETS[name](file.read_bytes())
    print("it holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
