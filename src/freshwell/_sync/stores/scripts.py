"""Scripts that run on the server: by their digest, and once more by text where it lacks them."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.resp import Argument, Reply

__all__ = ["Call", "Script", "Send", "run_script", "script"]

_MAX_TEACHING = 8

Call = tuple[bytes | Sequence[bytes], Sequence[bytes | int]]
"""A key, or several of one server, and what a script is told about them."""
Send = Callable[[Sequence[Sequence[Argument]]], list[Reply]]


class Script(NamedTuple):
    """A script, and the digest by which servers know it."""

    text: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return the script in ``freshwell/lua`` of this name."""
    text = files("freshwell.lua").joinpath(f"{name}.lua").read_bytes()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


def run_script(script: Script, calls: Sequence[Call], send: Send) -> list[Reply]:
    """Run a script once for each call, in one write. Errors stand in the answer, in their place."""
    by_digest = [_evaluation(b"EVALSHA", script.sha, call) for call in calls]
    replies = send(by_digest)
    for teaching in range(_MAX_TEACHING + 1):
        missing = [i for i, reply in enumerate(replies) if _lacks_script(reply)]
        if not missing:
            break
        # One text teaches one server; that there is a server without it is rare.
        texts = missing if teaching == _MAX_TEACHING else missing[:1]
        again = [by_digest[i] for i in missing[len(texts) :]]
        by_text = [_evaluation(b"EVAL", script.text, calls[i]) for i in texts]
        answers = send([*by_text, *again])
        for i, reply in zip(missing, answers, strict=True):
            replies[i] = reply
    return replies


def _evaluation(word: bytes, script: bytes, call: Call) -> Sequence[Argument]:
    keys, args = call
    keys = (keys,) if isinstance(keys, bytes) else keys
    return (word, script, len(keys), *keys, *args)


def _lacks_script(reply: Reply) -> bool:
    return isinstance(reply, ServerReplied) and reply.code == "NOSCRIPT"
