"""`dslc predict`: what a run says of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.data import DataOptions, run_data
from dslc.cli.main import Data, app, positive, writing
from dslc.language.diagnostics import CallError


@app.command
def predict(
    run_: Annotated[str, Parameter(name="RUN")],
    *,
    data: Data,
    output: Annotated[str, Parameter(name=["-o", "--output"])] = "predictions.csv",
    top: int | None = None,
    read: DataOptions = DataOptions(),
    threads: int = 1,
) -> None:
    """Write what a run says of data, which need no targets: a CSV with the class of each example and the probability of
    every class, or a column an output where classes have no names or numbers are predicted; or all outputs as .npy.

    top: just so many of the likeliest classes, each with its probability.

    Examples:  dslc predict runs/lenet5-1 --data mnist -o predictions.csv
               dslc predict runs/pets-1 --data new_photos --top 3
    """
    from dslc.runtime.runs.folder import load_run
    from dslc.runtime.runs.predictions import write_predictions

    if top is not None and positive(top, "--top") and output.endswith(".npy"):
        raise CallError("--top writes classes by name, which goes into a CSV: name one with -o")
    model = load_run(run_, positive(threads, "--threads"))
    dataset = run_data(model, data, read, labelled=False)
    with writing(output):
        count = write_predictions(Path(output), model, dataset.test or dataset.train, top)
    print(f"{count:,} predictions in {output}")
