"""The command line: parses arguments, calls the API, prints. Results go to stdout, messages to stderr.

Exit status: 0 done, 1 the input is wrong, 2 the call is wrong.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from dslc.compiler import check_file
from dslc.ir import Network
from dslc.language.diagnostics import CallError, DataError, SpecError, UsageError, render

if TYPE_CHECKING:
    from dslc.cli.summary import Summary
    from dslc.plan import Plan
    from dslc.planning.planner import Options
    from dslc.proofs.gradcheck import GradientCheck
    from dslc.target import Target

app = App(
    name="dslc",
    help="""A compiler for neural networks: a short .net file becomes specialized C that trains and predicts.

    Start with:  dslc check specs/lenet5.net   then:  dslc train specs/lenet5.net --data mnist""",
    version_flags=["--version"],
)

Define = Annotated[list[str] | None, Parameter(name=["-D", "--define"], negative=())]
Data = Annotated[str, Parameter(name="--data")]
Disable = Annotated[list[str] | None, Parameter(name="--disable", negative=())]
Kind = Literal["auto", "plain", "bar", "json", "none"]


def main() -> None:
    """The entry point."""
    warnings.showwarning = _note
    sys.exit(run(sys.argv[1:]))


ROOMS = ("augment", "data", "errors", "evaluate", "inspect", "predict", "report", "search", "train")
"""Commands in files of their own, which add them to `app`."""


def run(arguments: list[str]) -> int:
    """Carries out a command line and returns the exit status."""
    for room in ROOMS:
        importlib.import_module(f"dslc.cli.{room}")
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _note(message: Warning | str, *_: object, **__: object) -> None:
    print(f"note: {message}", file=sys.stderr)


# ------------------------------------------------------------------------------------------------ check


@app.command
def check(
    *spec: str,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    threads: int = 1,
    define: Define = None,
) -> int:
    """Check specs: a row a layer with its size formula, the work of a training step, then exact bytes.

    threads: how many will share the work; each needs some memory of its own.

    Examples:  dslc check specs/lenet5.net     dslc check specs/*.net --json     dslc check a.net -D lr=0.01
    """
    if not spec:
        raise CallError("name at least one spec: dslc check specs/lenet5.net")
    failed = False
    reports = []
    for path in spec:
        try:
            reports.append(_report(path, define, positive(threads, "--threads")))
        except SpecError as error:
            print(error, file=sys.stderr)
            failed = True
    if json_:
        from dataclasses import asdict

        print(json.dumps([asdict(summary) for _, summary in reports], indent=2))
    else:
        for network, summary in reports:
            _print_summary(network, summary)
    return 1 if failed else 0


def _report(path: str, define: list[str] | None, threads: int) -> tuple[Network, Summary]:
    from dslc.cli.summary import summarize
    from dslc.compiler import plan_network

    network = check_file(path, overrides(define))
    return network, summarize(network, plan_network(network, threads=threads))


def _print_summary(network: Network, summary: Summary) -> None:
    from dslc.cli.tables import print_table

    for note in network.notes:
        print(render(note), file=sys.stderr)
    inputs = ", ".join(f"{name} {shape}" for name, shape in summary.inputs)
    rows = [
        (r.name, r.output, r.formula, f"{r.parameters:,}", f"{r.multiply_adds:,}", f"{r.bytes:,}") for r in summary.rows
    ]
    total = ("total", "", "", f"{summary.parameters:,}", f"{summary.multiply_adds:,}", "")
    columns = ("layer", "output", "size", "parameters", "multiply-adds", "bytes")
    print_table(f"{summary.net}: input {inputs}, {summary.precision}", columns, [*rows, total], "lllrrr")
    if (work := summary.training_step) is not None:
        both = f"{work.forward:,} forward, {work.backward:,} backward"
        print(f"\nmultiply-adds of a training step, an example: {both}")
    _print_memory(summary)
    for name, tensors in summary.regularized:
        print(f"{name} touches {', '.join(tensors)}")
    if summary.frozen:
        print(f"frozen: {', '.join(summary.frozen)}")
    print()


def _print_memory(summary: Summary) -> None:
    from dslc.cli.tables import print_table

    m = summary.memory
    rows = [
        ("parameters", m.parameters, m.parameters),
        ("activations", m.prediction_activations, m.training_activations),
        ("gradients", 0, m.gradients),
        ("optimizer state", 0, m.state),
        ("total, as allocated", m.prediction, m.training),
        ("only if gradients are asked for", 0, m.asked_gradients),
    ]
    shown = [(name, f"{predict:,}", f"{train:,}" if m.training else "-") for name, predict, train in rows]
    print()
    threads = f" and {m.threads} threads" if m.threads > 1 else ""
    print_table(f"bytes at a batch of {m.batch}{threads}", ("", "prediction", "training"), shown, "lrr")


def overrides(define: list[str] | None) -> dict[str, object]:
    """`-D name=value` as values of the language."""
    found: dict[str, object] = {}
    for text in define or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise CallError(f"-D wants name=value, not {text!r}")
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


# ------------------------------------------------------------------------------------------------ compile, emit


@app.command(name="compile")
def compile_(
    spec: str,
    *,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    target: str = "native",
    tune: Annotated[bool, Parameter(negative=())] = False,
    threads: int = 1,
    disable: Disable = None,
    define: Define = None,
) -> None:
    """Build the native module (an extension that Python imports) and its C source.

    --tune times the algorithms that fit each operation on this machine and keeps the fastest for this network.
    --threads: how many may share the work at most. --disable: a pass of the compiler to leave out.

    Examples:  dslc compile specs/lenet5.net     dslc compile specs/lenet5.net -o build --target x86-64-v3
               dslc compile specs/lenet5.net --tune --threads 2
    """
    import time

    from dslc.cache import write_whole
    from dslc.codegen.build import build
    from dslc.codegen.emit import emit as emit_c

    started = time.perf_counter()
    network = check_file(spec, overrides(define))
    if tune:
        _tune(network, target, positive(threads, "--threads"))
    plan = _plan_for(network, target, threads, disable)
    source = emit_c(plan)
    with writing(output or "."):
        folder = None if output is None else Path(output)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        library = build(source, plan.target, folder)
        c_file = library.path.parent / f"{source.prefix}.c"
        write_whole(c_file, source.code.encode())
    how = "found in the cache" if library.cached else "compiled"
    print(f"module {library.path} ({library.path.stat().st_size:,} bytes, {how})")
    print(f"source {c_file} ({len(source.code.splitlines()):,} lines)")
    print(f"{time.perf_counter() - started:.2f} s")


def _tune(network: Network, target: str, threads: int) -> None:
    from dslc.planning.tuned import keep_tuned
    from dslc.runtime.tune import Trial, tune

    if target != "native":
        raise CallError("--tune times on this machine: it goes with --target native only")

    def tell(trial: Trial) -> None:
        names = ", ".join(trial.operations)
        print(f"{names} by {trial.algorithm}: {trial.share:.2f} of the best so far", file=sys.stderr)

    options = tune(network, threads, tell)
    for name, algorithm in options.algorithms:
        print(f"tuned {name}: {algorithm}")
    print(f"tuned for {threads} thread{'s' * (threads > 1)}: {keep_tuned(network, None, threads, options)}")


def _plan_for(network: Network, target: str, threads: int, disable: list[str] | None) -> Plan:
    from dslc.compiler import plan_network

    count = positive(threads, "--threads")
    return plan_network(network, _target(target), threads=count, options=_options(disable))


def _target(name: str) -> Target | None:
    from dslc.target import TARGETS

    if name != "native" and name not in TARGETS:
        raise CallError(f"there is no target {name!r}; there are native, {', '.join(TARGETS)}")
    return None if name == "native" else TARGETS[name]


def _options(disable: list[str] | None) -> Options | None:
    from dslc.planning.planner import Options

    if not disable:
        return None
    try:
        return Options(tuple(disable))
    except ValueError as error:
        raise CallError(str(error)) from None


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None


@app.command
def emit(
    spec: str, *, stage: Literal["ast", "ir", "plan", "c"] = "c", target: str = "native", threads: int = 1,
    disable: Disable = None, define: Define = None,
) -> None:  # fmt: skip
    """Print what a stage of the compiler made of a spec.

    threads: how many may share the work at most. disable: a pass of the compiler to leave out.

    Examples:  dslc emit specs/lenet5.net --stage plan     dslc emit specs/mlp.net --stage c > mlp.c
    """
    from dslc.cli.show import show_plan, show_tree
    from dslc.codegen.emit import emit as emit_c
    from dslc.language.parse import parse, read

    if stage == "ast":
        print(show_tree(parse(read(spec))))
        return
    network = check_file(spec, overrides(define))
    if stage == "ir":
        print(show_tree(network))
        return
    plan = _plan_for(network, target, threads, disable)
    print(show_plan(plan) if stage == "plan" else emit_c(plan).code, end="\n" if stage == "plan" else "")


# ------------------------------------------------------------------------------------------------ gradcheck, verify


@app.command
def gradcheck(
    spec: str, *, examples: int = 4, entries: int = 30, epsilon: float = 1e-5, seed: int = 0,
    without_dropout: Annotated[bool, Parameter(negative=())] = False, define: Define = None,
) -> int:  # fmt: skip
    """Compare numerical and analytic gradients in float64: a row a parameter, and all in one vector.

    examples: in the random mini-batch. entries: how many of each parameter are compared; a large number takes all.
    epsilon: half the way between the two points of a difference. --without-dropout switches dropout off, with which
    there is nothing to compare. Augmentation is always left out: nothing in it learns.

    Example:  dslc gradcheck specs/lenet5.net
    """
    from dslc.proofs import gradcheck as checking
    from dslc.runtime.data.random import random_batch
    from dslc.runtime.model import Model

    if not 0 < epsilon < 1:
        raise CallError(f"--epsilon must lie between 0 and 1, not {epsilon:g}")
    network = check_file(spec, overrides(define), "float64")
    if without_dropout:
        network = checking.without_dropout(network)
    checking.refuse_dropout(network)
    network, augmenting = checking.without_augmentation(network)
    if augmenting:
        print(f"note: checked on examples as at prediction, without {', '.join(augmenting)}", file=sys.stderr)
    model = Model(network)
    model.training  # noqa: B018 - raises where there is no loss to differentiate
    x, y = random_batch(model.network, min(positive(examples, "--examples"), model.batch), seed)
    found = checking.check_gradients(model, x, y, positive(entries, "--entries"), seed, epsilon)
    _print_gradients(f"{model.network.name}: gradients, epsilon {epsilon:g}", found)
    return 1 if found.failures else 0


def _print_gradients(title: str, found: GradientCheck) -> None:
    """A row a parameter, a row for all together; then of each row that fails the entry that differs most."""
    from dslc.cli.tables import print_table

    cells = [(r.name, str(r.compared), str(r.skipped), f"{r.difference:.1e}", r.verdict) for r in found.rows]
    compared, skipped = sum(r.compared for r in found.rows), sum(r.skipped for r in found.rows)
    total = ("all together", str(compared), str(skipped), f"{found.difference:.1e}", found.verdict)
    columns = ("parameter", "compared", "at kinks", "relative difference", "verdict")
    print_table(title, columns, [*cells, total], "lrrrl")
    for row in found.failures:
        if (worst := row.worst) is not None:
            index = ", ".join(map(str, worst.index))
            print(f"{row.name}[{index}]: numerical {worst.numerical:.6e}, analytic {worst.analytic:.6e}")


@app.command
def verify(
    spec: str, *, examples: int = 5, seed: int = 0, threads: int = 1, target: str = "native",
    dtype: Literal["float32", "float64"] | None = None, disable: Disable = None, define: Define = None,
) -> int:  # fmt: skip
    """Compare the compiled C with an independent NumPy interpreter: outputs, gradients, ten optimizer steps.

    disable: a pass of the compiler to leave out.

    Examples:  dslc verify specs/lenet5.net     dslc verify specs/lenet5.net --target generic --disable fusion
    """
    from dslc.cli.tables import print_table
    from dslc.proofs.verify import verify as compare
    from dslc.runtime.model import Model

    network = check_file(spec, overrides(define), dtype)
    model = Model(network, positive(threads, "--threads"), _options(disable), _target(target))
    rows = compare(model, min(positive(examples, "--examples"), model.batch), seed)
    cells = [(r.what, f"{r.difference:.1e}", f"{r.tolerance:.0e}", "ok" if r.ok else "differs") for r in rows]
    columns = ("what", "largest difference", "allowed", "verdict")
    print_table(f"{model.network.name}: C against NumPy", columns, cells, "lrrl")
    return 0 if all(row.ok for row in rows) else 1


def positive(value: int, option: str) -> int:
    if value < 1:
        raise CallError(f"{option} must be at least 1, not {value}")
    return value
