"""`dslc predict`: the outputs of a run for data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import Data, Run, Target, Threads, app, examples, thread_option, writing


@app.command(
    help_epilogue=examples(
        "dslc predict runs/lenet5-1 --data mnist -o predictions.csv",
    )
)
def predict(
    run: Run,
    *,
    data: Data,
    output: Annotated[str, Parameter(name=["-o", "--output"])] = "predictions.csv",
    target: Target = None,
    threads: Threads = "auto",
) -> None:
    """Write the outputs of a run for data: a CSV with a column an output, or .npy.

    Args:
        output: The file to write, a .csv or an .npy.
    """
    from dslc.runtime.data.datasets import load_dataset
    from dslc.runtime.runs.folder import load_run
    from dslc.runtime.runs.predictions import write_predictions

    model = load_run(run, thread_option(threads))
    dataset = load_dataset(data, target)
    part = dataset.test or dataset.train
    with writing(output):
        count = write_predictions(Path(output), model, part.x)
    print(f"{count:,} predictions in {output}")
