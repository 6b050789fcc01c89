"""What a user may do, read from the rules that ACL GETUSER tells. Pure."""

from __future__ import annotations

from typing import Final

from freshwell.cli.doctor.seen import User

__all__ = ["allows", "may_everything", "may_track", "uses_entries"]

_CATEGORIES: Final = {
    "client|tracking": {"slow", "connection"},
    "config|set": {"admin", "slow", "dangerous"},
    "debug": {"admin", "slow", "dangerous"},
    "flushall": {"keyspace", "write", "slow", "dangerous"},
    "flushdb": {"keyspace", "write", "slow", "dangerous"},
    "get": {"read", "string", "fast"},
    "eval": {"slow", "scripting"},
    "keys": {"keyspace", "read", "slow", "dangerous"},
    "shutdown": {"admin", "slow", "dangerous"},
    "subscribe": {"pubsub", "slow"},
}
_INVALIDATED: Final = "__redis__:invalidate"


def allows(rules: str, command: str) -> bool:
    """Tell whether rules such as ``-@all +@read -keys`` allow a command: the last word counts."""
    categories = _CATEGORIES[command] | {"all"}
    allowed = False
    for rule in rules.lower().replace("allcommands", "+@all").split():
        sign, named = rule[:1], rule[1:]
        if named.startswith("@"):
            hit = named[1:] in categories
        else:
            hit = named in (command, command.partition("|")[0])
        if rule == "nocommands":
            allowed = False
        elif hit and sign in "+-":
            allowed = sign == "+"
    return allowed


def may_everything(user: User) -> bool:
    """Tell whether a user may run every command on every key."""
    rules = user.commands.split()
    return rules in (["+@all"], ["allcommands"]) and "~*" in user.keys.split()


def uses_entries(user: User) -> bool:
    """Tell whether a user may do what a cache of freshwell's does with its entries."""
    keys = user.keys.split()
    reaches = any(k == "~*" or k.startswith("~fw:e:") for k in keys)
    return user.on and reaches and allows(user.commands, "get") and allows(user.commands, "eval")


def may_track(user: User) -> bool:
    """Tell whether a user may be told of changes."""
    channels = {channel.lstrip("&") for channel in user.channels.split()}
    heard = bool(channels & {"*", "allchannels", _INVALIDATED})
    needed = ("client|tracking", "subscribe")
    return heard and all(allows(user.commands, command) for command in needed)
