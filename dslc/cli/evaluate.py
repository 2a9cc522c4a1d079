"""`dslc evaluate`: how good a run is, and what to try next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dslc.cli.app import Data, Run, Threads, app, examples, thread_option
from dslc.cli.data import DataOptions, data_of, judged, run_data
from dslc.cli.tables import print_table
from dslc.cli.train import results_of
from dslc.language.diagnostics import CallError, DataError, ExampleError

if TYPE_CHECKING:
    from dslc.runtime.data.datasets import Dataset, Split
    from dslc.runtime.data.splits import Partition
    from dslc.runtime.model import Model
    from dslc.runtime.quantized import QuantizedModel

WRONG = "1 - accuracy"


@app.command(
    help_epilogue=examples(
        "dslc evaluate runs/lenet5-1",
        "dslc evaluate runs/lenet5-1 --data more.npz",
        "dslc evaluate runs/lenet5-1 --human-error 0.002",
    )
)
def evaluate(
    run: Run,
    *,
    data: Data | None = None,
    read: DataOptions = DataOptions(),
    human_error: float | None = None,
    threads: Threads = "auto",
) -> None:
    """Loss and metrics of a run (or a weights file) on data; on its test part where it has one.

    The data are those of the training unless --data names others.

    Args:
        human_error: The error of people at this task, which stands for the best possible one. With it comes a table of
            bias and variance from the parts that the data of the run were split into, and what to try next.
    """
    from dslc.runtime.runs.folder import partition_of
    from dslc.runtime.runs.quantized import load_predictor

    if human_error is not None and not human_error >= 0:
        raise CallError(f"--human-error must be at least 0, not {human_error:g}")
    data, read = data_of(run, data, read)
    model = load_predictor(run, thread_option(threads))
    dataset = run_data(model, data, read)
    partition = partition_of(run)
    trained_on = partition is not None and dataset.is_of(partition)
    if human_error is not None and not trained_on:
        raise DataError(
            f"--human-error compares the parts of the data of a run: {run} does not say how {data} was split"
        )
    dataset, part, name = judged(run, dataset, parts=human_error is not None)
    print(f"judged on {name}: {len(part.x):,} examples", file=sys.stderr)
    if partition is not None and not trained_on:
        _note_training_examples(partition, part, name)
    try:
        found = model.evaluate(*part.given)
    except ExampleError as error:
        raise error.at(part.name(error.example)) from None
    for key, value in found.items():
        print(f"{key} {value:.6g}")
    if model.training.confusion:
        _print_confusion(model, part)
    if human_error is not None:
        _print_diagnosis(model, dataset, human_error)


def _note_training_examples(partition: Partition, part: Split, name: str) -> None:
    """Tells where most of the training examples that are kept with a run are among what it is judged by."""
    from dslc.runtime.data.fingerprints import fingerprints_of_examples

    sample = set(partition.examples)
    found = len(sample.intersection(fingerprints_of_examples(part.x).tolist())) if sample else 0
    if found and 2 * found >= len(sample):
        looked_for = f"of {len(sample)} examples that the run was trained on"
        print(f"note: {looked_for}, {found} are in {name}: it is not judged by new data alone", file=sys.stderr)


def _print_confusion(model: Model | QuantizedModel, part: Split) -> None:
    """The matrix and what it says of each class, of every head that judges classes."""
    from dslc.runtime.metrics import class_scores

    matrices = model.confusion(*part.given)
    names = {head.name: model.schema.names(head) for head in model.network.heads}
    for name, matrix in matrices.items():
        title = f"confusion of {name}" if len(matrices) > 1 else "confusion"
        classes = names[name] or tuple(map(str, range(len(matrix))))
        rows = [(true, *(_count(count) for count in row)) for true, row in zip(classes, matrix, strict=True)]
        sides = "r" * (len(classes) + 1)
        print()
        print_table(f"{title}: a row a true class, a column a predicted one", ("", *classes), rows, sides)
        scores = [class_scores(score, matrix) for score in ("precision", "recall", "f1")]
        numbers = zip(classes, *scores, matrix.sum(axis=1), strict=True)
        cells = [(i, f"{p:.4f}", f"{r:.4f}", f"{f:.4f}", _count(count)) for i, p, r, f, count in numbers]
        print()
        print_table("by class", ("class", "precision", "recall", "f1", "examples"), cells, "rrrrr")


def _count(examples: float) -> str:
    """How many examples; a sum of weights is no whole number."""
    return f"{examples:.6g}" if isinstance(examples, float) else str(examples)


def _print_diagnosis(model: Model | QuantizedModel, dataset: Dataset, human: float) -> None:
    from dslc.runtime.analysis.diagnosis import Errors, diagnose, worst

    results = results_of(model, dataset)
    if "dev" not in results:
        raise DataError("the data were too few for a dev set: variance cannot be told")
    what, errors = _errors(results)
    if what == WRONG and human > 1:
        raise CallError(f"--human-error is a share of the answers, from 0 to 1, not {human:g}")
    rows = [("human", f"{human:.4f}", "")]
    rows += [(name, f"{errors[name]:.4f}", f"{len(part.x):,}") for name, part in dataset.parts.items()]
    print()
    print_table(f"error: {what}", ("set", "error", "examples"), rows, "lrr")
    gaps = diagnose(Errors(human, errors["train"], errors["dev"], errors.get("train-dev"), errors.get("test")))
    print()
    print_table("bias and variance", ("", "", "size"), [(g.name, g.between, f"{g.size:+.4f}") for g in gaps], "llr")
    print()
    if errors["train"] < human:
        print("the training error is below the human one: that is no estimate of the best possible error here")
    gap = worst(gaps)
    if gap is None:
        print("no error is worse than the one before it")
        return
    print(f"the largest is {gap.name}; try:")
    for text in gap.advice:
        print(f"  {text}")


def _errors(results: dict[str, dict[str, float]]) -> tuple[str, dict[str, float]]:
    """What the error is, and its values by part: the share of wrong answers, or the loss where there are no classes."""
    if all("accuracy" in numbers for numbers in results.values()):
        return WRONG, {name: 1 - numbers["accuracy"] for name, numbers in results.items()}
    return "loss", {name: numbers["loss"] for name, numbers in results.items()}
