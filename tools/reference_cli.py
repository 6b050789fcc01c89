"""Return docs/reference/command-line.md, from what the commands' ``--help`` is made of.

Not from its text, which every release of Typer lays out in another way.
"""

from __future__ import annotations

import inspect
import types
import typing
from pathlib import Path
from typing import Any, Final

from typer.models import ArgumentInfo, Context, OptionInfo

from freshwell.cli.dashboard import dashboard
from freshwell.cli.doctor.command import doctor
from freshwell.cli.fleet.top import top
from freshwell.cli.inspect import inspect as inspect_command
from freshwell.cli.invalidate import invalidate
from freshwell.cli.journal import drop, export, list_, retry, show, status
from freshwell.cli.lab.coherence.command import coherence
from freshwell.cli.lab.command import lab
from freshwell.cli.lint.command import lint as lint_command
from freshwell.cli.worker import flush_worker

__all__ = ["COMMANDS", "page"]

COMMANDS: Final = {
    "invalidate": invalidate,
    "inspect": inspect_command,
    "journal status": status,
    "journal list": list_,
    "journal show": show,
    "journal retry": retry,
    "journal drop": drop,
    "journal export": export,
    "flush-worker": flush_worker,
    "doctor": doctor,
    "lint": lint_command,
    "top": top,
    "dashboard": dashboard,
    "lab": lab,
    "lab coherence": coherence,
}
_HEAD: Final = """# The command line

Written by `tools/reference.py` from what `freshwell COMMAND --help` is made of: change that, not
this page. It comes with `pip install "freshwell[cli,redis]"`; the plots of the lab take
`freshwell[lab]`, and its PostgreSQL `freshwell[postgres]`.
How to use it is in [Work on a cache from the command line](../how-to/command-line.md), [Look for
what is wrong](../how-to/doctor-and-lint.md) and [Run the lab](../how-to/run-the-lab.md).

`freshwell --version` shows the version, `--help` after any command what stands here.
"""
_WORDS: Final = {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "FILE"}


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([_HEAD, *(_command(name, what) for name, what in COMMANDS.items())])


def _command(name: str, function: types.FunctionType | Any) -> str:
    arguments: list[str] = []
    options: list[str] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.annotation is Context:
            continue
        kind, info = typing.get_args(parameter.annotation)
        if isinstance(info, ArgumentInfo):
            shown = str(info.metavar)
            arguments.append(shown if parameter.default is parameter.empty else f"[{shown}]...")
        else:
            options.append(_option(parameter, kind, info))
    usage = " ".join(["freshwell", name, *arguments, "[OPTIONS]"])
    prose = inspect.cleandoc(function.__doc__ or "")
    listed = "\n".join(options)
    return f"## freshwell {name}\n\n```text\n{usage}\n```\n\n{prose}\n\n{listed}\n"


def _option(parameter: inspect.Parameter, kind: Any, info: OptionInfo) -> str:
    # In annotations Typer takes the first name for what would be a default elsewhere.
    given = [info.default, *(info.param_decls or ())]
    names = [str(name) for name in given if str(name).startswith("-")]
    names = names or ["--" + parameter.name.replace("_", "-")]
    plain = [part for part in (typing.get_args(kind) or (kind,)) if part is not types.NoneType]
    word = info.metavar or _WORDS.get(plain[0], "")
    shown = ", ".join(f"`{option} {word}`" if word else f"`{option}`" for option in names)
    said = [str(info.help)]
    if info.envvar:
        said.append(f"Also from the environment variable `{info.envvar}`.")
    if parameter.default is parameter.empty:
        said.append("Required.")
    elif info.show_default and plain != [bool]:
        said.append(f"Default: `{parameter.default}`.")
    return f"- {shown}: {' '.join(said)}"
