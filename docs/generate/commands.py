"""A page for each command, from what it says of itself."""

from __future__ import annotations

import contextlib
import importlib
import io
import os

from dslc.cli.main import COMMANDS, run

INDEX = """# Commands

Each page is what `--help` says. Exit status: 0 done, 1 the input is wrong, 2 the call is wrong.
"""


def pages() -> dict[str, str]:
    """Markdown by path."""
    os.environ["COLUMNS"] = "78"
    names = [module.rstrip("_") for module in COMMANDS]  # some names are Python's own
    found = {f"commands/{name}.md": f"# dslc {name}\n\n```text\n{_help(name)}\n```\n" for name in names}
    rows = "\n".join(f"| [`dslc {name}`]({name}.md) | {_first_line(name)} |" for name in names)
    found["commands/index.md"] = f"{INDEX}\n| command | does |\n| --- | --- |\n{rows}\n"
    return found


def _help(name: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run([name, "--help"])
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())


def _first_line(name: str) -> str:
    module = importlib.import_module(f"dslc.cli.{name if name in COMMANDS else f'{name}_'}")
    command = getattr(module, name, None) or getattr(module, f"{name}_")
    return " ".join((command.__doc__ or "").split("\n\n")[0].split())
