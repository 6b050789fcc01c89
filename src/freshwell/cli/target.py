"""What commands that work on a cache have in common: its options, opening it, and what is said."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Annotated, Final, NamedTuple, TypeVar

import typer

from freshwell._sync.cache import Cache
from freshwell._sync.namespace import Namespace
from freshwell.codecs.keyring import Keyring
from freshwell.errors import (
    ConfigurationError,
    JournalUnavailable,
    JournalUnfit,
    KeyRejected,
    StoreUnavailable,
)
from freshwell.ground.keys import check_namespace, check_version

__all__ = [
    "CacheOption",
    "HashKeysOption",
    "InNamespaceOption",
    "Target",
    "UrlOption",
    "UsageFault",
    "VersionOption",
    "answering",
    "checked",
    "confirm",
    "counted",
    "opened",
    "print_line",
    "print_rows",
    "say",
    "visible",
]

T = TypeVar("T")

_MAX_KEY_BYTES: Final = 65_536
"""More than a cache takes by default: one that takes longer keys has them looked after too."""
_CONNECT_S: Final = 2
_COMMAND_S: Final = 5

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="FRESHWELL_URL",
        help="Where the entries are: redis://, rediss://, valkey:// or unix:// for one server, "
        "redis+cluster:// or redis+sentinel:// for several.",
        show_default=False,
    ),
]
CacheOption = Annotated[
    str,
    typer.Option(
        "--cache", metavar="NAME", help="The cache: what its code gives as Cache(namespace=NAME)."
    ),
]
VersionOption = Annotated[
    str | None,
    typer.Option(
        "--schema-version",
        metavar="V",
        help="What the cache's code gives as Cache(version=V).",
        show_default=False,
    ),
]
InNamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--in-namespace",
        metavar="N",
        help="Keys are those of cache.namespace(N); a/b is namespace b in namespace a.",
        show_default=False,
    ),
]
HashKeysOption = Annotated[
    str | None,
    typer.Option(
        "--hash-keys-env",
        metavar="VAR",
        help="The environment variable with the keyring, ID:BASE64, that the cache's code gives "
        "as Cache(hash_keys=...): to find keys and tags whose names are hashed.",
        show_default=False,
    ),
]


class UsageFault(Exception):
    """A command cannot be carried out as it was given. Says in a sentence what to change."""


class Target(NamedTuple):
    """An open cache, and the place in it that a command is about."""

    cache: Cache
    scope: Cache | Namespace

    def __str__(self) -> str:
        """Return what people call it, without secrets."""
        options, place = self.cache._core.options, self.cache._core.place
        version = f", schema version {options.version}" if options.version else ""
        return f"cache {options.namespace!r}{version} at {place!r}"


@contextmanager
def opened(
    url: str,
    cache: str,
    schema_version: str | None,
    namespace: str | None,
    *,
    named_by: str,
    hash_keys_env: str | None = None,
) -> Iterator[Target]:
    """Open a cache without L1, and go into one of its namespaces where `namespace` names one.

    Connects on first use. `named_by` is the option that named the namespace, `hash_keys_env` the
    variable with the key of hashed names. Raises `ConfigurationError`, which names the option that
    is wrong.
    """
    checked("--cache", check_namespace, cache)
    checked("--schema-version", check_version, schema_version)
    path = [] if namespace is None else namespace.split("/")
    for part in path:
        checked(named_by, check_namespace, part)
    made = Cache(
        url,
        namespace=cache,
        version=schema_version,
        hash_keys=None if hash_keys_env is None else Keyring.from_env(hash_keys_env),
        l1=False,
        max_key_bytes=_MAX_KEY_BYTES,
        connect_timeout=_CONNECT_S,
        command_timeout=_COMMAND_S,
    )
    with made:
        scope: Cache | Namespace = made
        for part in path:
            scope = scope.namespace(part)
        yield Target(made, scope)


def checked(option: str, check: Callable[[T], object], given: T) -> None:
    """Check what was given for an option. Raises `ConfigurationError`, which names the option."""
    try:
        check(given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error}") from None


@contextmanager
def answering(command: str, *, unanswered: int, logged: bool = False) -> Iterator[None]:
    """Say in one sentence what went wrong, and end the command with the exit code for it.

    2 where nothing was done because of how the command was given, `unanswered` where the server
    did not answer, or with an error. `logged`: what the library logs is shown too.
    """
    try:
        with nullcontext() if logged else _unlogged():
            yield
    except (ConfigurationError, JournalUnfit, KeyRejected, UsageFault) as error:
        say(command, str(error))
        raise typer.Exit(2) from None
    except (JournalUnavailable, StoreUnavailable) as error:
        say(command, str(error))
        raise typer.Exit(unanswered) from None
    except KeyboardInterrupt:
        say(command, "stopped")
        raise typer.Exit(130) from None


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the library's log from saying, a second time, what the command says."""
    logger, handler = logging.getLogger("freshwell"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def confirm(verb: str, what: str, *, undone: str) -> None:
    """Ask on a terminal. Raises `UsageFault` where there is none, or the answer is no."""
    if not sys.stdin.isatty():
        raise UsageFault(f"this would {verb} {what}: add --yes if that is meant")
    try:
        agreed = typer.confirm(visible(f"{verb.capitalize()} {what}?"), err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise UsageFault(undone)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number of things in words."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def say(command: str, sentence: str) -> None:
    """Print a sentence to people, beside the command's output."""
    typer.secho(_printable(f"freshwell {command}: {sentence}", sys.stderr), err=True, fg="red")


def print_line(line: str) -> None:
    """Print a line of the command's output."""
    typer.echo(_printable(line, sys.stdout))


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print labels and texts, the texts below each other."""
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        print_line(f"{label:{width}}  {text}")


def _printable(text: str, stream: object) -> str:
    """Return text with escapes for what the stream's encoding does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)


def visible(text: str) -> str:
    """Return text with escapes in the place of whatever would move a terminal, or be unseen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
