"""`dslc compile`: the native module of a network and its C source."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import (
    Define,
    Disable,
    Machine,
    Spec,
    Threads,
    app,
    examples,
    options_without,
    overrides,
    target_named,
    thread_option,
    writing,
)
from dslc.cli.ranks import launched_rank
from dslc.cli.room import note_room
from dslc.compiler import check_file
from dslc.cores import Threads as ThreadCount
from dslc.ir import Network
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.plan import Plan


@app.command(
    name="compile",
    help_epilogue=examples(
        "dslc compile specs/lenet5.net",
        "dslc compile specs/lenet5.net -o build --target x86-64-v3",
        "dslc compile specs/lenet5.net --tune --threads 2",
    ),
)
def compile_(
    spec: Spec,
    *,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    target: Machine = "native",
    tune: Annotated[bool, Parameter(negative=())] = False,
    threads: Threads = "auto",
    disable: Disable = None,
    define: Define = None,
) -> None:
    """Build the native module (an extension that Python imports) and its C source.

    Args:
        output: The folder to write to; the cache unless given.
        tune: Time the algorithms that fit each operation on this machine, and keep the fastest for this network.
    """
    from dslc.cache import write_whole
    from dslc.codegen.build import build_file
    from dslc.codegen.emit import emit as emit_c

    started = time.perf_counter()
    machine = target_named(target)
    if machine is not None and not machine.hosts_python:
        raise CallError(
            f"no Python imports modules on {target}: `dslc export --to c --target {target}` is for programs"
        )
    network, wanted = check_file(spec, overrides(define)), thread_option(threads)
    if tune:
        _tune(network, target, wanted)
    plan = plan_for(network, target, wanted, disable)
    if target == "native":
        training = network.training is not None
        note_room(network, plan.arena_bytes(training) + training * plan.weights_bytes)
    source = emit_c(plan)
    with writing(output or "."):
        folder = None if output is None else Path(output)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        module, cached = build_file(source, plan.target, folder)
        c_file = module.parent / f"{source.prefix}.c"
        write_whole(c_file, source.code.encode())
    how = "found in the cache" if cached else "compiled"
    print(f"module {module} ({module.stat().st_size:,} bytes, {how})")
    print(f"source {c_file} ({len(source.code.splitlines()):,} lines)")
    print(f"{time.perf_counter() - started:.2f} s")


def _tune(network: Network, target: str, wanted: ThreadCount) -> None:
    from dslc.compiler import plan_network
    from dslc.planning.tuned import save_tuned
    from dslc.runtime.tune import Trial, tune

    if target != "native":
        raise CallError("--tune times on this machine: it goes with --target native only")
    if launched_rank() is not None:
        raise CallError(
            "--tune times one process alone: leave out mpiexec; docs/howto/many-machines.md has what ranks take"
        )

    def tell(trial: Trial) -> None:
        names = ", ".join(trial.operations)
        print(f"{names} by {trial.algorithm}: {trial.share:.2f} of the best so far", file=sys.stderr)

    threads = plan_network(network, threads=wanted).threads
    options = tune(network, threads, tell)
    for name, algorithm in options.algorithms:
        print(f"tuned {name}: {algorithm}")
    print(f"tuned for {threads} thread{'s' * (threads > 1)}: {save_tuned(network, None, threads, options)}")


def plan_for(
    network: Network, target: str, threads: ThreadCount, disable: list[str] | None, batch: int | None = None
) -> Plan:
    """The plan as the options of a command want it.

    Raises:
        SpecError: the values of a column come from the training set.
    """
    from dslc.checker.columns import require_values
    from dslc.compiler import plan_network

    require_values(network)
    return plan_network(network, target_named(target), batch, threads, options_without(disable))
