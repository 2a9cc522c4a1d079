"""The compiler, stage by stage.

    stage     type            made by              looked up in
    -----     ----            -------              ------------
    text      Source          parse.read           the file
    ast       ast.Program     parse.parse          grammar/net.lark
    ir        ir.Network      checking.check       layers/, losses/, optimizers/, ...
    graph     graph.Graph     lower.lower          the layers' forward and backward
    plan      plan.Plan       planning.make_plan   passes/, kernels/
    c         emit.CSource    emit.emit            templates/
    module    build.Library   build.build          the C compiler, the cache

Each stage is a type that nothing changes, and a function that makes the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dslc.checker.program import check
from dslc.ir import Network
from dslc.language.parse import parse, read
from dslc.language.source import Source

if TYPE_CHECKING:
    from dslc.codegen.build import Library
    from dslc.codegen.emit import CSource
    from dslc.plan import Plan
    from dslc.planning.planner import Options
    from dslc.target import Target


def check_file(path: str | Path, params: Mapping[str, object] | None = None, dtype: str | None = None) -> Network:
    """The checked network of a file. Raises SpecError with every error."""
    return check(parse(read(path)), params, dtype)


def check_text(text: str, params: Mapping[str, object] | None = None, dtype: str | None = None) -> Network:
    """The checked network of a text."""
    return check(parse(Source("<text>", text)), params, dtype)


def plan_network(
    network: Network,
    target: Target | None = None,
    batch: int | None = None,
    threads: int = 1,
    options: Options | None = None,
) -> Plan:
    """The plan of a network, for this machine and one thread unless told otherwise; without options as it was tuned."""
    from dslc.lowering.lower import lower
    from dslc.planning.planner import DEFAULT, make_plan
    from dslc.planning.tuned import tuned_options
    from dslc.target import native

    if options is None:
        options = tuned_options(network, batch, threads) if target is None else DEFAULT
    return make_plan(lower(network), target or native(), batch, threads, options)


def emit_network(network: Network, target: Target | None = None, batch: int | None = None, threads: int = 1) -> CSource:
    """The C of a network."""
    from dslc.codegen.emit import emit

    return emit(plan_network(network, target, batch, threads))


def compile_plan(plan: Plan) -> Library:
    """The native module of a plan, from the cache if it was compiled before.

    Raises:
        PlanError: the planner has made a mistake; nothing is compiled.
    """
    from dslc.codegen.build import build
    from dslc.codegen.emit import emit
    from dslc.planning.verifier import verify_plan

    verify_plan(plan)
    return build(emit(plan), plan.target)
