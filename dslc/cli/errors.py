"""`dslc errors`: error analysis on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dslc.cli.app import Threads, app, examples, positive, thread_option, writing
from dslc.cli.data import DataOptions, data_of, run_data
from dslc.cli.whole import Whole
from dslc.language.diagnostics import CallError, DataError, UsageError

if TYPE_CHECKING:
    from dslc.numerics import Array
    from dslc.runtime.analysis.mistakes import Mistake
    from dslc.runtime.model import Model

TABLE, SHEET = "errors.csv", "errors.png"
Part = Literal["train", "train-dev", "dev", "test"]


@app.command(
    help_epilogue=examples(
        "dslc errors runs/lenet5-1",
        "dslc errors runs/lenet5-1 --data mnist --part test --most 40",
        "dslc errors --tally runs/lenet5-1/errors/errors.csv --error-rate 0.04",
    )
)
def errors(
    run: Annotated[str | None, Parameter(name="RUN")] = None,
    *,
    data: str | None = None,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    part: Part = "dev",
    most: Whole = 100,
    read: DataOptions = DataOptions(),
    threads: Threads = "auto",
    tally: str | None = None,
    error_rate: float | None = None,
) -> None:
    """The examples that a run gets most wrong, as a sheet of images and a table to tag; then a tally of the tags.

    Leaves errors.csv, and errors.png where the examples are images. Write why
    each is wrong under `tags`, several separated by commas, and let --tally
    count: errors and share by tag, and the ceiling, which is the error rate
    that is left if all errors of this tag are fixed.

    Args:
        run: A run folder, or a weights file.
        data: The data, as for `dslc train`; those of the training unless given.
        output: The folder to write to; RUN/errors unless given.
        part: Of the data; dev is drawn as in training where the data bring none.
        most: How many examples at most.
        tally: A table with tags to count.
        error_rate: With --tally: the error rate on the part that the table is of.
    """
    if tally is not None:
        if run is not None or data is not None or output is not None:
            raise CallError("--tally FILE counts the tags in a file: it goes without RUN, --data and --output")
        _tally(Path(tally), error_rate)
        return
    if run is None:
        raise CallError("name a run, as in dslc errors runs/lenet5-1, or --tally FILE")
    if error_rate is not None:
        raise CallError("--error-rate goes with --tally FILE")
    folder = Path(output) if output is not None else _beside(Path(run))
    _refuse_to_lose_tags(folder / TABLE)
    _errors(run, data, read, part, folder, positive(most, "--most"), thread_option(threads))


def _beside(run: Path) -> Path:
    return (run if run.is_dir() else run.parent) / "errors"


def _refuse_to_lose_tags(table: Path) -> None:
    from dslc.runtime.analysis.mistakes import read_tags

    try:
        tagged = sum(bool(tags) for tags in read_tags(table)) if table.exists() else 0
    except DataError as error:
        raise UsageError(f"{error}; it stands where the table would be written: name another folder with -o") from None
    if tagged:
        raise UsageError(f"{table} has tags in {tagged} of its rows: move it, or name another folder with -o")


def _errors(
    run: str, data: str | None, read: DataOptions, part: Part, folder: Path, most: int, threads: Threads
) -> None:
    from dslc.cache import write_whole
    from dslc.runtime.analysis.mistakes import as_csv, find_mistakes
    from dslc.runtime.runs.folder import load_run, split_as_trained
    from dslc.runtime.runs.quantized import require_float

    require_float(run)
    data, read = data_of(run, data, read)
    model = load_run(run, threads)
    split = split_as_trained(run_data(model, data, read), run, model.training.seed).part(part)
    found = find_mistakes(model, split.x, split.y, most)
    print(f"{part}: {found.wrong:,} of {found.examples:,} examples are wrong, an error rate of {found.rate:.4g}")
    if not found.worst:
        return
    worst = found.with_positions(split).worst
    drawn = _sheet(model, split.x[[m.index for m in found.worst]], worst)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / TABLE, as_csv(worst))
        if drawn is not None:
            write_whole(folder / SHEET, drawn)
            print(f"sheet: {folder / SHEET}")
    print(f"table: {folder / TABLE}")
    if len(found.worst) < found.wrong:
        print(f"note: these are the worst {len(found.worst)}; --most {found.wrong} takes all", file=sys.stderr)
    print(f"fill its column tags, then: dslc errors --tally {folder / TABLE} --error-rate {found.rate:.6g}")


def _sheet(model: Model, x: Array, worst: tuple[Mistake, ...]) -> bytes | None:
    """The images x (n, ...) of n mistakes with captions; None, and a line that says why, where there can be none."""
    from dslc.runtime.analysis.pictures import pictures_of, sheet

    pictures = pictures_of(model.network, x)
    if pictures is None:
        print("note: the examples are no images of one or three channels: a table only", file=sys.stderr)
        return None
    captions = [(f"{m.true} -> {m.predicted}", f"p = {m.probability:.2f}", f"index {m.index}") for m in worst]
    try:
        drawn: bytes = sheet(pictures, captions)
    except UsageError as error:
        print(f"note: a table only, for {error}", file=sys.stderr)
        return None
    return drawn


def _tally(path: Path, rate: float | None) -> None:
    from dslc.cli.tables import print_table
    from dslc.runtime.analysis.mistakes import read_tags, tally

    if rate is not None and not 0 < rate <= 1:
        raise CallError(f"--error-rate is a share above 0 and up to 1, not {rate:g}")
    rows = read_tags(path)
    causes = tally(rows)
    if not causes:
        raise DataError(f"no row of {path} has a tag yet: write why each is wrong into its column tags")
    ceilings = [f"{c.left:.1%} of the errors" if rate is None else f"{c.left * rate:.4g}" for c in causes]
    cells = [(c.tag, str(c.errors), f"{c.share:.1%}", ceiling) for c, ceiling in zip(causes, ceilings, strict=True)]
    looked = sum(bool(tags) for tags in rows)
    title = f"{path}: {looked} of {len(rows)} errors have tags" + ("" if rate is None else f", error rate {rate:.4g}")
    print_table(title, ("tag", "errors", "share", "left if all are fixed"), cells, "lrrr")
