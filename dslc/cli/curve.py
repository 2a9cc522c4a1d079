"""`dslc curve`: the learning curve by the size of the training set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import (
    Batch,
    Data,
    Define,
    Rate,
    Seed,
    Spec,
    Threads,
    app,
    examples,
    overrides,
    positive,
    thread_option,
    writing,
)
from dslc.cli.data import DataOptions, encode_tables, locating, training_data
from dslc.cli.train import check_parts
from dslc.cli.whole import Whole
from dslc.compiler import check_file
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.runtime.analysis.learning_curve import LearningCurve, Point


@app.command(
    help_epilogue=examples(
        "dslc curve mlp --data digits -D epochs=5",
        "dslc curve mlp --data mnist --at 500,1000,2000,4000 --human-error 0.002 -o curve.html",
    )
)
def curve(
    spec: Spec,
    *,
    data: Data,
    read: DataOptions = DataOptions(),
    steps: Whole = 6,
    at: str | None = None,
    human_error: float = 0.0,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    lr: Rate = None,
    batch: Batch = None,
    seed: Seed = None,
    threads: Threads = "auto",
    define: Define = None,
) -> None:
    """Train on more and more of the training set, and show errors, bias and variance at each size.

    Every size has the file's epochs, and so fewer updates where it is small.
    The dev set stays the same.

    Args:
        steps: How many sizes, which grow by equal factors from a twentieth of the training set to all of it.
        at: The sizes themselves, as in 100,500,1000.
        human_error: The error of people at this task, which bias is measured from.
        output: An .html with the curves or a .csv with the numbers to write.
    """
    from dslc.cli.tables import print_table
    from dslc.runtime.analysis.learning_curve import COLUMNS, learning_curve, sizes_up_to
    from dslc.runtime.model import Model

    if output is not None and Path(output).suffix not in (".html", ".csv"):
        raise CallError(f"-o names an .html or a .csv, not {output}")
    network = check_file(spec, overrides(define, lr=lr, batch=batch, seed=seed))
    model = Model(network, thread_option(threads))
    dataset = training_data(network, data, read).with_dev(model.training.seed)
    model.schema = model.schema.describing(network, dataset)
    with locating(dataset.train):
        model.learn_columns(dataset.train.x, dataset.train.weights)
    dataset = encode_tables(model, dataset)
    check_parts(model.schema, model.network, dataset, anew=True)
    sizes = sizes_up_to(len(dataset.train.y), positive(steps, "--steps", 2)) if at is None else _sizes(at)
    found = learning_curve(model.copy, dataset, sizes, human_error, model.training.seed, _tell)
    rows = [(f"{p.examples:,}", *(f"{x:.4f}" for x in (p.train, p.dev, p.bias, p.variance))) for p in found.points]
    print_table(f"{found.net}: {found.error}", COLUMNS, rows, "rrrrr")
    if output is not None:
        _write(Path(output), found)


def _sizes(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise CallError(f"--at wants sizes, as in 100,500,1000, not {text!r}")
    return tuple(sorted({int(word) for word in words}))


def _tell(point: Point) -> None:
    print(f"{point.examples:,} examples: train {point.train:.4f}, dev {point.dev:.4f}", file=sys.stderr, flush=True)


def _write(path: Path, found: LearningCurve) -> None:
    from dslc.cache import write_whole
    from dslc.cli.page import script_or_note
    from dslc.runtime.analysis.learning_curve import as_csv, render_curve

    page = as_csv(found) if path.suffix == ".csv" else render_curve(found, script_or_note("the page")).encode()
    with writing(path):
        write_whole(path, page)
    print(f"wrote {path}")
