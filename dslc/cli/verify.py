"""`dslc verify`: the compiled C against an independent interpreter in NumPy."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

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
    positive,
    target_named,
    thread_option,
)
from dslc.cli.whole import Whole
from dslc.compiler import check_file
from dslc.derived import rounded_values

if TYPE_CHECKING:
    from dslc.target import Target


IN_DOUBLE = (
    "compared in float64: in float32 a number in the middle of two steps of quantize int8 is rounded to either of them"
)


@app.command(
    help_epilogue=examples(
        "dslc verify specs/lenet5.net",
        "dslc verify specs/lenet5.net --target generic --disable fusion",
        "dslc verify runs/lenet5-1_int8",
    )
)
def verify(
    spec: Spec,
    *,
    examples_: Annotated[Whole, Parameter(name="--examples")] = 5,
    seed: Whole = 0,
    threads: Threads = "auto",
    target: Machine = "native",
    dtype: Literal["float32", "float64", "mixed"] | None = None,
    disable: Disable = None,
    define: Define = None,
) -> int:
    """Compare the compiled C with an independent NumPy interpreter: outputs, gradients, ten optimizer steps.

    Of a quantized run: its integers, which must have the same bits, and how
    far they are from the network in float.

    Args:
        examples_: How many examples the random mini-batch has.
        seed: Of the random mini-batch.
        dtype: The precision; that of the file unless given, with quantize int8 always float64.
    """
    from dslc.cli.tables import print_table
    from dslc.proofs.verify import verify as compare
    from dslc.runtime.model import Model
    from dslc.runtime.runs.quantized import is_quantized

    positive(seed, "--seed", 0)
    if is_quantized(spec):
        return _verify_integers(spec, positive(examples_, "--examples"), seed, target_named(target))
    network = check_file(spec, overrides(define), dtype)
    if rounded_values(network) and network.precision != "float64":
        print(f"note: {IN_DOUBLE}", file=sys.stderr)
        network = replace(network, precision="float64")
    model = Model(network, thread_option(threads), options_without(disable), target_named(target))
    rows = compare(model, min(positive(examples_, "--examples"), model.batch), seed)
    cells = [(r.what, f"{r.difference:.1e}", f"{r.tolerance:.0e}", "ok" if r.ok else "differs") for r in rows]
    columns = ("what", "largest difference", "allowed", "verdict")
    print_table(f"{model.network.name}: C against NumPy", columns, cells, "lrrl")
    return 0 if all(row.ok for row in rows) else 1


def _verify_integers(run: str, count: int, seed: int, target: Target | None) -> int:
    """A quantized run: the bytes of every head."""
    from dslc.cli.tables import print_table
    from dslc.proofs.quantized import verify_quantized
    from dslc.runtime.runs.quantized import read_quantized

    model = read_quantized(run, target)
    rows = verify_quantized(model, count, seed)
    cells = [
        (r.head, f"{r.count:,}", f"{r.differing:,}", _decibels(r.signal), "differs" if r.differing else "ok")
        for r in rows
    ]
    columns = ("integers of", "bytes", "differing", "signal to noise against float", "verdict")
    print_table(f"{model.network.name}: C against NumPy, and NumPy against float", columns, cells, "lrrrl")
    for row in rows:
        if row.is_far:
            print(
                f"warning: {row.head} says something else than the network in float: its signal is only "
                f"{row.signal:.1f} dB above the noise, which tells of a layer or a range that is wrong", file=sys.stderr
            )  # fmt: skip
    return 1 if any(row.differing for row in rows) else 0


def _decibels(signal: float | None) -> str:
    """A cell; an older run does not know."""
    return "not known" if signal is None else f"{signal:.1f} dB"
