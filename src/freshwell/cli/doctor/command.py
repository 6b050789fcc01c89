"""``freshwell doctor``: report what is wrong with a live server, and change nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from freshwell._kit.places import place_of
from freshwell.cli.doctor.examining import examined, judged
from freshwell.cli.doctor.findings import CHECKS, Finding, Severity, merged
from freshwell.cli.doctor.reading import endpoints_at
from freshwell.cli.doctor.seen import ServerSeen
from freshwell.cli.target import UsageFault, answering, counted, print_line

__all__ = ["SCHEMA", "doctor"]

SCHEMA: Final = 1
"""Of the JSON. It grows when a field goes or changes its meaning, not when one is added."""
_MAX_SAMPLE: Final = 1_000_000
_MAX_TIMEOUT_S: Final = 300


def doctor(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            envvar="FRESHWELL_URL",
            help="The server, as for --url of other commands. Every primary of a Cluster is "
            "looked at, and the primary that Sentinels name.",
            show_default=False,
        ),
    ],
    sample: Annotated[
        int,
        typer.Option(metavar="N", help="How many keys of each server to look at."),
    ] = 5_000,
    prefix_separator: Annotated[
        str, typer.Option(metavar="TEXT", help="What ends the prefix by which keys are grouped.")
    ] = ":",
    fail_on: Annotated[
        Severity, typer.Option(metavar="SEVERITY", help="notice, warning or critical.")
    ] = Severity.WARNING,
    ignore: Annotated[
        str | None,
        typer.Option(
            metavar="CODES",
            help='Leave these findings out, such as "no-tls,hot-key".',
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for each answer.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Report what is wrong with a live Redis or Valkey, whoever wrote its keys. Changes nothing.

    Sends commands that read, in small steps, and shows no value, not even in part.

    Exit code 0: nothing as bad as --fail-on was found. 1: something was. 2: that is not known,
    because of how the command was given or because the server did not answer.
    """
    with answering("doctor", unanswered=2):
        _check(sample, prefix_separator, timeout)
        left_out = _codes(ignore)
        servers = [
            examined(endpoint, most_keys=sample, timeout_s=timeout)
            for endpoint in endpoints_at(place_of(url), timeout)
        ]
        every = merged(one for seen in servers for one in judged(seen, prefix_separator))
        found = [one for one in every if one.code not in left_out]
        if as_json:
            print_line(json.dumps(_as_dict(servers, found)))
        else:
            _show(servers, found)
    if any(one.severity.rank >= fail_on.rank for one in found):
        raise typer.Exit(1)


def _check(sample: int, separator: str, timeout_s: float) -> None:
    if not 1 <= sample <= _MAX_SAMPLE:
        raise UsageFault(f"--sample is {sample}: give 1 to {_MAX_SAMPLE:,}")
    if not separator:
        raise UsageFault("--prefix-separator is empty: give what stands between prefix and key")
    if not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise UsageFault(f"--timeout is {timeout_s:g}: give up to {_MAX_TIMEOUT_S} seconds")


def _codes(ignore: str | None) -> set[str]:
    """Return the codes to leave out. Raises `UsageFault` for one that there is not."""
    codes = {code.strip() for code in (ignore or "").split(",") if code.strip()}
    unknown = sorted(codes - set(CHECKS))
    if unknown:
        raise UsageFault(f"--ignore names {unknown[0]!r}: codes are {', '.join(CHECKS)}")
    return codes


def _as_dict(servers: Sequence[ServerSeen], found: Sequence[Finding]) -> dict[str, Any]:
    counts = Counter(one.severity for one in found)
    return {
        "schema": SCHEMA,
        "servers": [
            {
                "server": seen.name,
                "version": seen.info.get("valkey_version") or seen.info.get("redis_version"),
                "keys": seen.total,
                "sampled": len(seen.keys),
                "unknown": list(seen.unknown),
            }
            for seen in servers
        ],
        "findings": [one.as_dict() for one in found],
        "counts": {severity.value: counts[severity] for severity in reversed(Severity)},
    }


def _show(servers: Sequence[ServerSeen], found: Sequence[Finding]) -> None:
    for one in found:
        print_line(f"{one.severity.value:8}  {one.code}: {one.evidence}")
        print_line(f"{'':8}  cure: {one.cure}")
        if len(servers) > 1:
            print_line(f"{'':8}  at {', '.join(one.servers)}")
    for seen in servers:
        at = f" at {seen.name}" if len(servers) > 1 else ""
        for what in seen.unknown:
            print_line(f"{'unknown':8}  {what}{at}")
    counts = Counter(one.severity for one in found)
    said = [f"{counts[severity]:,} {severity.value}" for severity in reversed(Severity)]
    sampled, total = (sum(n) for n in zip(*((len(s.keys), s.total) for s in servers), strict=True))
    print_line(
        f"{counted(len(found), 'finding')} ({', '.join(said)}); looked at {sampled:,} of "
        f"{counted(total, 'key')} on {counted(len(servers), 'server')}"
    )
