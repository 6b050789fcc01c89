"""``freshwell invalidate``: make entries absent, in every tier and process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from freshwell._sync.namespace import Namespace
from freshwell.cli.target import (
    CacheOption,
    HashKeysOption,
    InNamespaceOption,
    Target,
    UrlOption,
    UsageFault,
    VersionOption,
    answering,
    confirm,
    counted,
    opened,
    print_line,
    say,
)
from freshwell.ground.globs import check_glob, is_broad

__all__ = ["Counting", "invalidate"]

_COMMAND: Final = "invalidate"
_SAY_EVERY_S: Final = 5.0
_UNDONE: Final = "nothing was invalidated"


def invalidate(
    url: UrlOption,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Keys.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TAG", help="All entries with this tag. May be repeated.", show_default=False
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB",
            help='All entries whose keys match, such as "report:*:2026". Looks at every key of '
            "the server, in small steps: prefer tags.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="All entries of cache.namespace(N), and of namespaces in it.",
            show_default=False,
        ),
    ] = None,
    cache: CacheOption = "default",
    schema_version: VersionOption = None,
    in_namespace: InNamespaceOption = None,
    hash_keys_env: HashKeysOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make entries absent, in every tier and process: of keys, tags, a pattern, or a namespace.

    Whole namespaces, and patterns without a letter or digit, are asked about first.

    Exit code 0: done. 1: the server may not have taken it; repeat the command. 2: nothing was done.
    """
    with answering(_COMMAND, unanswered=1):
        _check_one_kind(keys, tag, pattern, namespace)
        if in_namespace is not None and (tag or namespace is not None):
            raise UsageFault(
                "--in-namespace goes with keys and --pattern: tags belong to the whole cache, and "
                "a namespace in another is --namespace a/b"
            )
        named_by = "--in-namespace" if namespace is None else "--namespace"
        inside = in_namespace if namespace is None else namespace
        with opened(
            url,
            cache,
            schema_version,
            inside,
            named_by=named_by,
            hash_keys_env=hash_keys_env,
        ) as target:
            if keys:
                _keys(target, keys)
            elif tag:
                target.scope.invalidate_tags(*tag)
                print_line(f"invalidated all entries of {counted(len(tag), 'tag')}, {target}")
            elif pattern is not None:
                _pattern(target, pattern, yes=yes)
            else:
                _namespace(target, inside or "", yes=yes)


def _check_one_kind(
    keys: list[str] | None, tag: list[str] | None, pattern: str | None, namespace: str | None
) -> None:
    given = {"KEY": bool(keys), "--tag": bool(tag)}
    given |= {"--pattern": pattern is not None, "--namespace": namespace is not None}
    kinds = [kind for kind, is_given in given.items() if is_given]
    if not kinds:
        raise UsageFault("nothing to invalidate: give keys, --tag, --pattern or --namespace")
    if len(kinds) > 1:
        hint = "" if namespace is None else " (what code gives as Cache(namespace=NAME) is --cache)"
        raise UsageFault(f"{' and '.join(kinds)} are given: give one kind at a time{hint}")


def _keys(target: Target, keys: list[str]) -> None:
    target.scope.invalidate(*keys)
    print_line(f"invalidated {counted(len(keys), 'key')}, {target}")


def _namespace(target: Target, path: str, *, yes: bool) -> None:
    if not yes:
        confirm("invalidate", f"all entries of namespace {path!r}, {target}", undone=_UNDONE)
    assert isinstance(target.scope, Namespace)
    target.scope.clear()
    print_line(f"invalidated namespace {path!r}, {target}")


def _pattern(target: Target, pattern: str, *, yes: bool) -> None:
    check_glob(pattern)
    if is_broad(pattern) and not yes:
        confirm("invalidate", f"all entries like {pattern!r}, {target}", undone=_UNDONE)
    with _progress() as progress:
        gone = target.scope.invalidate_pattern(pattern, progress=progress)
    print_line(f"invalidated {counted(gone, 'entry', 'entries')} like {pattern!r}, {target}")


class Counting:
    """Says how far a sweep is, now and then, where no terminal can show it."""

    def __init__(self, say: Callable[[str], object], now_s: Callable[[], float]) -> None:
        self._say = say
        self._now_s = now_s
        self._due_s = now_s() + _SAY_EVERY_S

    def __call__(self, gone: int) -> None:
        now_s = self._now_s()
        if now_s >= self._due_s:
            self._due_s = now_s + _SAY_EVERY_S
            self._say(f"{counted(gone, 'entry', 'entries')} so far")


@contextmanager
def _progress() -> Iterator[Callable[[int], object]]:
    """Show how many entries are gone: alive on a terminal, else in a plain line now and then."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Counting(lambda sentence: say(_COMMAND, sentence), time.monotonic)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} entries invalidated"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda gone: bar.update(task, completed=gone)
