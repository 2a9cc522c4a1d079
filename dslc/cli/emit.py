"""`dslc emit`: what each stage of the compiler made of a spec."""

from __future__ import annotations

import sys
from typing import Literal

from dslc.cli.app import Define, Disable, Machine, Spec, Threads, app, examples, overrides, positive, thread_option
from dslc.cli.compile import plan_for
from dslc.cli.whole import OptionalWhole
from dslc.compiler import check_file


@app.command(
    help_epilogue=examples(
        "dslc emit specs/lenet5.net --stage plan",
        "dslc emit specs/mlp.net --stage c > mlp.c",
        "dslc emit specs/mlp.net --stage c --target aarch64 --batch 1 > mlp.c",
    )
)
def emit(
    spec: Spec,
    *,
    stage: Literal["ast", "ir", "plan", "c"] = "c",
    target: Machine = "native",
    threads: Threads = "auto",
    batch: OptionalWhole = None,
    disable: Disable = None,
    define: Define = None,
) -> None:
    """Print what a stage of the compiler made of a spec.

    Args:
        stage: ast: the syntax tree; ir: the checked network; plan: kernels and memory; c: the C source.
        batch: The largest mini-batch, in place of the file's.
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
    capacity = None if batch is None else positive(batch, "--batch")
    plan = plan_for(network, target, thread_option(threads), disable, capacity)
    print(f"for the target {plan.target.name}, at most {plan.batch} examples at a time", file=sys.stderr)
    print(show_plan(plan) if stage == "plan" else emit_c(plan).code, end="\n" if stage == "plan" else "")
