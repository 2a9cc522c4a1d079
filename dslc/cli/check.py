"""`dslc check`: sizes, work and memory of a network, before anything is compiled."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import Define, Threads, app, examples, overrides, thread_option
from dslc.cli.room import note_room
from dslc.compiler import check_file
from dslc.cores import Threads as ThreadCount
from dslc.ir import Network
from dslc.language.diagnostics import CallError, SpecError, render

if TYPE_CHECKING:
    from dslc.cli.summary import ColumnRow, Memory, Summary

SHOWN = 8
"""Up to how many segments are listed."""


@app.command(
    help_epilogue=examples(
        "dslc check specs/lenet5.net",
        "dslc check specs/lenet5.net specs/mlp.net --json",
        "dslc check specs/lenet5.net -D lr=0.01",
    )
)
def check(
    *spec: str,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    threads: Threads = "auto",
    define: Define = None,
) -> int:
    """Check specs: a row a layer with its size formula, the work of a training step, then exact bytes.

    Args:
        spec: The .net files.
        json_: Print everything as JSON.
    """
    if not spec:
        raise CallError("name at least one spec: dslc check specs/lenet5.net")
    failed, wanted = False, thread_option(threads)
    reports = []
    for path in spec:
        try:
            reports.append(_report(path, define, wanted))
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


def _report(path: str, define: list[str] | None, threads: ThreadCount) -> tuple[Network, Summary]:
    from dslc.cli.summary import summarize
    from dslc.compiler import plan_network
    from dslc.gc_pause import paused_collection

    network = check_file(path, overrides(define))
    plan = plan_network(network, threads=threads)
    with paused_collection():
        return network, summarize(network, plan)


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
    for name, _ in summary.inputs:
        _print_columns(name, [column for column in summary.columns if column.input == name])
    if (work := summary.training_step) is not None:
        both = f"{work.forward:,} forward, {work.backward:,} backward"
        print(f"\nmultiply-adds of a training step, an example: {both}")
    _print_memory(network, summary)
    for name, tensors in summary.regularized:
        print(f"{name} touches {', '.join(tensors)}")
    if summary.frozen:
        print(f"frozen: {', '.join(summary.frozen)}")
    print()


def _print_columns(name: str, columns: list[ColumnRow]) -> None:
    from dslc.cli.tables import print_table

    if columns:
        cells = [
            (c.name, c.declared, "from the training set" if c.numbers is None else str(c.numbers)) for c in columns
        ]
        print()
        print_table(f"columns of {name}", ("column", "declared as", "numbers"), cells, "llr")


def _print_memory(network: Network, summary: Summary) -> None:
    from dslc.cli.tables import print_table

    m = summary.memory
    rows = [
        ("parameters", m.parameters, m.parameters),
        ("activations", m.prediction_activations, m.training_activations),
        ("gradients", 0, m.gradients),
        ("optimizer state", 0, m.state),
        ("total, as allocated", m.prediction, m.training),
        ("weights of the best epoch, with a dev set", 0, m.best_weights),
        ("only if gradients are asked for", 0, m.requested_gradients),
    ]
    shown = [(name, f"{predict:,}", f"{train:,}" if m.training else "-") for name, predict, train in rows]
    print()
    slices = f" in {m.slices} slices of {m.slice}" if m.slices > 1 else ""
    threads = f" and {m.threads} threads" if m.threads > 1 else ""
    whole = network.training is not None and network.training.batch is None
    everything = "; `batch all` takes memory for the whole training set once it is known" if whole else ""
    print_table(
        f"bytes at a batch of {m.batch}{slices}{threads}{everything}", ("", "prediction", "training"), shown, "lrr"
    )
    if m.mixing:
        print(f"\n{m.mixing} sees a whole mini-batch: it is not divided; with `batch N in K` it sees slices")
    if m.training_activations < m.kept_activations:
        _print_recomputed(m)
    note_room(network, m.training + m.best_weights if m.training else m.prediction)


def _print_recomputed(m: Memory) -> None:
    """The segments, the longest list shortened, and what they save."""
    named = [first if first == last else f"{first} to {last}" for first, last in m.recomputed]
    more = f", and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    saved = f"activations {m.training_activations:,} bytes instead of {m.kept_activations:,}"
    print(f"\ncomputed again in the backward pass: {', '.join(named[:SHOWN]) or 'nothing'}{more}")
    print(f"  {saved}")
