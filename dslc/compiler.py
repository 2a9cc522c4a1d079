"""The compiler, stage by stage.

    stage     type            made by              looked up in
    -----     ----            -------              ------------
    text      Source          language.parse.read          the file
    ast       ast.Program     language.parse.parse         grammar/net.lark
    ir        ir.Network      checker.program.check        layers/, losses/, optimizers/, ...
    graph     graph.Graph     lowering.lower.lower         the layers' forward and backward
    plan      plan.Plan       planning.planner.make_plan   passes/, kernels/
    c         CSource         codegen.emit.emit            templates/
    module    Library         codegen.build.build          the C compiler, the cache

Each stage has an immutable type, and one function that makes it from the stage before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dslc.checker.program import check
from dslc.gc_pause import paused_collection
from dslc.ir import Network
from dslc.language.parse import parse, read
from dslc.language.source import Source

if TYPE_CHECKING:
    from dslc.codegen.build import Library
    from dslc.codegen.c_source import CSource
    from dslc.cores import Threads
    from dslc.plan import Plan
    from dslc.planning.planner import Options
    from dslc.target import Target


def check_file(path: str | Path, params: Mapping[str, object] | None = None, dtype: str | None = None) -> Network:
    """Parses and checks a spec file. `params` and `dtype` replace the file's values: its params,
    settings such as `epochs`, and `lr`.

    Raises:
        SpecError: with every error of the file.
    """
    with paused_collection():
        return check(parse(read(path)), params, dtype)


def check_text(text: str, params: Mapping[str, object] | None = None, dtype: str | None = None) -> Network:
    """Like `check_file`, but takes the text of a spec. Raises SpecError with every error."""
    with paused_collection():
        return check(parse(Source("<text>", text)), params, dtype)


def plan_network(
    network: Network,
    target: Target | None = None,
    batch: int | None = None,
    threads: Threads = 1,
    options: Options | None = None,
    over_ranks: bool = False,
    cores: int | None = None,
) -> Plan:
    """Plans a network, for this machine and one thread by default.

    batch: the largest mini-batch, in place of the file's. threads: a number, or `auto` for as many as pay off on so
    many cores, by default those that this process may use. options: passes and algorithms; by default what `--tune`
    found for this network on this machine, if it was tuned. over_ranks: several ranks share a mini-batch in training.
    """
    from dslc.cores import available_cores
    from dslc.lowering.lower import lower
    from dslc.lowering.over_ranks import lower_over_ranks
    from dslc.planning.planner import DEFAULT, make_plan, profitable_threads
    from dslc.planning.slicing import division
    from dslc.planning.tuned import tuned_options
    from dslc.target import native

    def plan_for(count: int) -> Plan:
        tuned = tuned_options(network, batch, count) if target is None else DEFAULT
        return make_plan(graph, target or native(), divided, count, options or tuned)

    with paused_collection():
        divided = division(network, batch, over_ranks)
        lowered = lower_over_ranks if over_ranks else lower
        graph = lowered(network, divided.sliced, variable=True)
        if threads != "auto":
            return plan_for(threads)
        plan = plan_for(cores or available_cores())
        count = profitable_threads(plan)
        return plan if count == plan.threads else plan_for(count)


def emit_network(
    network: Network, target: Target | None = None, batch: int | None = None, threads: Threads = 1
) -> CSource:
    """Generates the C of a network; the arguments are those of `plan_network`.

    Raises:
        SpecError: the values of a column come from the training set.
    """
    from dslc.checker.columns import require_values
    from dslc.codegen.emit import emit

    require_values(network)
    return emit(plan_network(network, target, batch, threads))


def compile_plan(plan: Plan) -> Library:
    """Compiles a plan into a native module, or takes it from the cache if it was compiled before.

    Raises:
        PlanError: the plan is wrong, which is a bug in the planner; nothing is compiled.
    """
    from dslc.codegen.build import build
    from dslc.codegen.emit import emit
    from dslc.planning.verifier import verify_plan

    with paused_collection():
        verify_plan(plan)
        source = emit(plan)
    return build(source, plan.target)
