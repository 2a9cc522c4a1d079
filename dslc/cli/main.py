"""The entry point: carries out a command line. Results go to stdout, messages to stderr.

Exit status: 0 done, 1 the input is wrong, 2 the call is wrong, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from contextlib import suppress
from functools import cache

from cyclopts import CycloptsError

from dslc.cli.app import ARGUMENTS, app
from dslc.cli.ranks import leave, only_first_speaks
from dslc.cli.signals import end_at_once, interrupted_status, listen
from dslc.cli.streams import Unwritten, drop_results, settle_streams
from dslc.language.diagnostics import CallError, DataError, SpecError, UsageError

COMMANDS = (
    "augment", "bench", "check", "compare", "compile", "convert", "curve", "data", "draw", "emit", "errors", "evaluate",
    "explain", "export", "fmt", "generate", "gradcheck", "import_", "inspect", "lsp", "new", "play", "predict",
    "quantize", "report", "search", "train", "verify",
)  # fmt: skip
"""Files with a command each, which add it to `app`."""


def main() -> None:
    """The entry point."""
    settle_streams()
    warnings.showwarning = _note
    _find_commands(sys.argv[1:])
    only_first_speaks()
    status = _heeding_signals(sys.argv[1:])
    leave(status)
    sys.exit(status)


def _heeding_signals(arguments: list[str]) -> int:
    """`run`, also where a signal comes just before or behind what it answers; then all that was said is out."""
    try:
        listen()
        status = run(arguments)
        with suppress(OSError):  # told by Python at its end
            sys.stdout.flush()
        end_at_once()
    except KeyboardInterrupt:
        status = interrupted_status()
    return status


def _find_commands(arguments: list[str]) -> None:
    """Lets the command that is called add itself to `app`, or all of them where none is, as in `dslc --help`."""
    called = [command for command in COMMANDS if command.rstrip("_") in arguments[:1]]
    for command in called or COMMANDS:
        importlib.import_module(f"dslc.cli.{command}")


def run(arguments: list[str]) -> int:
    """Carries out a command line and returns the exit status."""
    _find_commands(arguments)
    ARGUMENTS.set(tuple(arguments))
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CycloptsError:
        return 2
    except SpecError as error:
        print(error, file=sys.stderr, end="")
    except CallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (UsageError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
    except MemoryError:
        print("error: there is not enough memory for this", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return interrupted_status()
    except BrokenPipeError:
        drop_results()
    except Unwritten as error:
        drop_results()
        print(f"error: cannot write the results: {str(error.strerror).lower()}", file=sys.stderr)
    return 1


def _note(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"note: {message}")


@cache
def _say(text: str) -> None:
    """Once, however often it is found."""
    print(text, file=sys.stderr)
