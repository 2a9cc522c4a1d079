"""`dslc predict`: what a run says of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import Data, Run, Threads, app, examples, positive, thread_option, writing
from dslc.cli.data import DataOptions, data_of, run_data
from dslc.cli.whole import OptionalWhole
from dslc.language.diagnostics import CallError


@app.command(
    help_epilogue=examples(
        "dslc predict runs/lenet5-1 --data mnist -o predictions.csv",
        "dslc predict runs/lenet5-1 --data mnist --top 3",
    )
)
def predict(
    run: Run,
    *,
    data: Data | None = None,
    output: Annotated[str, Parameter(name=["-o", "--output"])] = "predictions.csv",
    top: OptionalWhole = None,
    read: DataOptions = DataOptions(),
    threads: Threads = "auto",
) -> None:
    """Write what a run says of data, which need no targets; of those of the training unless --data names others.

    A CSV has the class of each example and a column a class with its
    probability; a column an output where classes have no names or numbers
    are predicted. An .npy has all outputs.

    Args:
        output: The file to write, a .csv or an .npy.
        top: Just so many of the likeliest classes, each with its probability.
    """
    from dslc.runtime.runs.predictions import write_predictions
    from dslc.runtime.runs.quantized import load_predictor

    if Path(output).suffix not in (".csv", ".npy"):
        raise CallError(f"predictions are written as .csv or .npy, which {output} does not end in")
    if top is not None and positive(top, "--top") and output.endswith(".npy"):
        raise CallError("--top writes classes by name, which goes into a CSV: name one with -o")
    data, read = data_of(run, data, read)
    model = load_predictor(run, thread_option(threads))
    dataset = run_data(model, data, read, labelled=False)
    with writing(output):
        count = write_predictions(Path(output), model, dataset.test or dataset.train, top)
    print(f"{count:,} predictions in {output}")
