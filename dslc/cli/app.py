"""The application that all commands belong to, and what they share: options, and checks of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from dslc.cli.whole import OptionalWhole, WholeOrAuto
from dslc.cores import Threads as ThreadCount
from dslc.cores import threads_to_use
from dslc.language.diagnostics import CallError, UsageError

if TYPE_CHECKING:
    from dslc.planning.planner import Options
    from dslc.target import Target as MachineType


def examples(*calls: str) -> str:
    """What `--help` of a command ends with: calls that work when pasted, a line each."""
    return "\n".join(["Examples:", *(f"  {call}" for call in calls)])


ARGUMENTS: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())
"""The command line that is being carried out, without the program's name."""

app = App(
    name="dslc",
    help="A compiler for neural networks: a short .net file becomes specialized C that trains and predicts.",
    help_epilogue=examples("dslc new", "dslc check lenet5", "dslc train lenet5 --data mnist"),
    help_format="plaintext",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)

app.register_install_completion_command(help="Install completion of commands and options for bash, zsh or fish.")

Spec = Annotated[
    str,
    Parameter(help="The .net file, a run folder (its spec.net), or the name of a spec that ships, such as lenet5."),
]
Run = Annotated[str, Parameter(name="RUN", help="A run folder, or a weights file that `save` or `dslc train` wrote.")]
Data = Annotated[
    str,
    Parameter(
        name="--data",
        help="A name (mnist, digits, iris, moons, ...; docs/data.md lists them); an .npz with x and y; a table such as "
        "a .csv or a .parquet (with --target); a folder of IDX or .npy files; or a folder with one folder of images a "
        "class.",
    ),
]
Machine = Annotated[
    str,
    Parameter(
        name="--target",
        help="The machine to compile for: native (this one), x86-64-v4, x86-64-v3, generic, aarch64, armv7 or c99.",
    ),
]
Threads = Annotated[
    WholeOrAuto,
    Parameter(
        name="--threads",
        help="How many threads may share the work: a number, or auto for as many as pay off on the cores that this "
        "process may use. The results are the same.",
    ),
]
Define = Annotated[
    list[str] | None,
    Parameter(
        name=["-D", "--define"],
        negative=(),
        help="name=value: a value for a param of the file, a setting such as epochs, or lr. Repeatable.",
    ),
]
Rate = Annotated[float | None, Parameter(name="--lr", help="The learning rate, as -D lr=.")]
Batch = Annotated[str | None, Parameter(name="--batch", help="Examples in a mini-batch or all, as -D batch=.")]
Seed = Annotated[OptionalWhole, Parameter(name="--seed", help="As -D seed=.")]
OnNan = Annotated[
    Literal["stop", "skip", "halve_lr"] | None,
    Parameter(name="--on-nan", help="At a step that is not finite: end, or leave it out. As -D on_nan=."),
]
Overwrite = Annotated[
    bool, Parameter(name="--overwrite", negative=(), help="Replace the run that --run names, if there is one.")
]
Disable = Annotated[
    list[str] | None,
    Parameter(name="--disable", negative=(), help="A pass of the compiler to leave out. Repeatable."),
]
Progress = Annotated[
    Literal["auto", "plain", "bar", "json", "none"],
    Parameter(name="--progress", help="How progress is shown; auto: a bar on a terminal, else plain lines."),
]


def overrides(define: list[str] | None, **settings: object) -> dict[str, object]:
    """`-D name=value` as values of the language, and settings with an option of their own, None where it is not given.

    Raises:
        CallError: a -D is not of this form, or a setting is given both ways.
    """
    found = {name: _value(str(value)) for name, value in settings.items() if value is not None}
    for text in define or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise CallError(f"-D wants name=value, not {text!r}")
        if settings.get(name) is not None:
            raise CallError(f"--{name} and -D {name}= say the same thing: give one of them")
        found[name] = _value(value)
    return found


def _value(text: str) -> object:
    if text in ("on", "off"):
        return text == "on"
    if re.fullmatch(r"[0-9]+(x[0-9]+)+", text):
        return tuple(int(part) for part in text.split("x"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def positive(value: int, option: str, least: int = 1) -> int:
    """The value; CallError where it is below the least."""
    if value < least:
        raise CallError(f"{option} must be at least {least}, not {value}")
    return value


def thread_option(threads: ThreadCount) -> ThreadCount:
    """What --threads and $DSLC_THREADS ask for.

    Raises:
        CallError: --threads is less than one.
    """
    try:
        return threads_to_use(threads, "--threads")
    except ValueError as error:
        raise CallError(str(error)) from None


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns what the system says of a file into an error with its path."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None


def target_named(name: str) -> MachineType | None:
    """The target of a name; None for this machine."""
    from dslc.target import TARGETS

    if name != "native" and name not in TARGETS:
        raise CallError(f"there is no target {name!r}; there are native, {', '.join(TARGETS)}")
    return None if name == "native" else TARGETS[name]


def exported_target(name: str) -> MachineType:
    """The target of a name, this machine's as one of its own."""
    from dslc.target import native

    return target_named(name) or native()


def options_without(disable: list[str] | None) -> Options | None:
    """The options of a plan without some passes; None for the usual ones."""
    from dslc.planning.planner import Options

    if not disable:
        return None
    try:
        return Options(tuple(disable))
    except ValueError as error:
        raise CallError(str(error)) from None
