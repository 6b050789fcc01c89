"""``freshwell inspect``: say what L2 has of one entry, and change nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from freshwell._sync.inspecting import Inspected
from freshwell._sync.inspecting import inspect as looked_at
from freshwell.cli.facts import Facts, facts_of, rows
from freshwell.cli.target import (
    CacheOption,
    HashKeysOption,
    InNamespaceOption,
    UrlOption,
    VersionOption,
    answering,
    opened,
    print_line,
    print_rows,
)
from freshwell.cli.values import Hidden, decoded, shown
from freshwell.ground.frame import Flag, Frame, State

__all__ = ["inspect"]


def inspect(
    url: UrlOption,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key.", show_default=False)],
    cache: CacheOption = "default",
    schema_version: VersionOption = None,
    in_namespace: InNamespaceOption = None,
    hash_keys_env: HashKeysOption = None,
    value: Annotated[
        bool,
        typer.Option(
            "--value",
            help="Show the value too, as Python writes it, up to 2,000 characters. For JSON and "
            "MessagePack; never of a sealed entry.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what Redis has of an entry: state, age, TTL left, tags, size, codec. Changes nothing.

    Exit code 0: something is there, and its state says what. 1: nothing is. 2: that is not known,
    because of how the command was given or because the server did not answer.
    """
    with answering("inspect", unanswered=2):
        target = opened(
            url,
            cache,
            schema_version,
            in_namespace,
            named_by="--in-namespace",
            hash_keys_env=hash_keys_env,
        )
        with target as (_, scope):
            facts = _facts(key, looked_at(scope, key), with_value=value)
        if as_json:
            print_line(json.dumps(facts.as_dict()))
        else:
            print_rows(rows(facts))
        if facts.state == "absent":
            raise typer.Exit(1)


def _facts(key: str, seen: Inspected, *, with_value: bool) -> Facts:
    facts = facts_of(key, seen)
    if not with_value or not isinstance(seen.frame, Frame) or seen.frame.state is not State.VALUE:
        return facts
    text, note = _value(seen.frame, seen.l2_key)
    return dataclasses.replace(facts, value=text, value_note=note)


def _value(frame: Frame, key: bytes) -> tuple[str | None, str | None]:
    """Return an entry's value as text, and why it is not here or not whole."""
    if frame.flags == Flag.NEGATIVE:
        return "None", "the source has none"
    try:
        return shown(decoded(frame.codec, frame.flags, frame.payload, key))
    except Hidden as hidden:
        return None, str(hidden)
