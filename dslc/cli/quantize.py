"""`dslc quantize`: a run in 8-bit integers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dslc.cli.app import Data, Run, app, examples, positive
from dslc.cli.data import DataOptions, data_of, judged, run_data
from dslc.cli.tables import print_table
from dslc.cli.whole import Whole

if TYPE_CHECKING:
    from dslc.quantization.analysis import LayerLoss
    from dslc.runtime.model import Model
    from dslc.runtime.quantized import QuantizedModel

FEW = 32
"""Examples that are too few to show ranges."""


@app.command(
    help_epilogue=examples(
        "dslc quantize runs/lenet5-1 --data mnist",
        "dslc quantize runs/lenet5-1 --data mnist --bits 7 -o lenet5-avx2",
        "dslc export runs/lenet5-1_int8 --to c --target cortex-m4",
    )
)
def quantize(
    run: Run,
    *,
    data: Data | None = None,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    bits: Literal[7, 8] = 8,
    ranges: Literal["mse", "minmax"] | None = None,
    examples_: Annotated[Whole, Parameter(name="--examples")] = 512,
    read: DataOptions = DataOptions(),
) -> None:
    """Turn the weights and values of a run into 8-bit integers, and say what that costs.

    The data, those of the training unless --data names others, show which
    numbers each value takes on. The new folder is for predict, evaluate,
    verify, and export --to c, whose C needs no floating point.

    Args:
        output: The folder to write to; by default RUN_int8.
        bits: Of a value; 7 is faster on CPUs with AVX2 that have no VNNI.
        ranges: mse: of each value the range with the least square error; minmax: the whole. Unless given, those that
            a run with quantize int8 was trained with, else mse.
        examples_: How many of the training set show the ranges.
    """
    import dslc
    from dslc.language.diagnostics import DataError
    from dslc.runtime.runs.folder import load_run
    from dslc.runtime.runs.quantized import is_quantized, write_quantized
    from dslc.runtime.training.quantized_folder import require_free
    from dslc.runtime.training.weights import require_run

    if is_quantized(run):
        raise DataError(f"{run} is quantized already")
    require_run(run)
    folder = Path(output or f"{run.rstrip('/')}_int8")
    require_free(folder)
    data, read = data_of(run, data, read)
    model = load_run(run, "auto")
    dataset, part, name = judged(run, run_data(model, data, read))
    count = positive(examples_, "--examples")
    found = dslc.quantize(model, dataset.train.x, bits=bits, ranges=ranges, examples=count)
    losses = _losses(found, dataset.train.x)
    title, columns, rows, sides = _layers(losses)
    before, after = model.evaluate(*part.given), found.evaluate(*part.given)
    lines = [_ranges(model, ranges, min(count, len(dataset.train.x))), *_told(found, losses, before, after)]
    table = "\n".join("  ".join(cells) for cells in [columns, *rows])
    write_quantized(folder, found, "\n".join([title, table, "", *lines, ""]), run)
    print(f"judged on {name}: {len(part.x):,} examples", file=sys.stderr)
    print_table(title, columns, rows, sides)
    print()
    print("\n".join([*lines, f"{folder}"]))


def _losses(model: QuantizedModel, x: object) -> list[LayerLoss]:
    """What each operation loses, by some of the examples."""
    from dslc.runtime.quantized import calibration_inputs

    return model.layer_losses(calibration_inputs(model.network, model.schema, x, 128))


def _layers(losses: list[LayerLoss]) -> tuple[str, tuple[str, ...], list[tuple[str, ...]], str]:
    """A table with a row an operation."""
    rows: list[tuple[str, ...]] = [
        (
            loss.name, loss.kind, f"{loss.float_bytes:,}", f"{loss.bytes:,}", f"{loss.signal:.1f}", f"{loss.alone:.1f}",
            "" if loss.changed is None else f"{100 * loss.changed:.1f} %",
        )
        for loss in losses
    ]  # fmt: skip
    columns = ("layer", "operation", "float32", "int8", "signal to noise", "alone", "answers changed alone")
    return "layers: bytes, and signal to noise in decibels", columns, rows, "llrrrrr"


def _ranges(model: Model, ranges: str | None, count: int) -> str:
    """Where the ranges of the values come from."""
    from dslc.quantization.quantize import learned_ranges
    from dslc.runtime.runs.trained import trained

    if ranges is None and learned_ranges(trained(model.network, model.copy_weights(), model.schema)):
        return "ranges: those of the training, quantize int8"
    few = "; so few may lack what others have, which is cut off" if count < FEW else ""
    return f"ranges: {ranges or 'mse'} of {count:,} examples{few}"


def _told(
    found: QuantizedModel, losses: list[LayerLoss], before: dict[str, float], after: dict[str, float]
) -> list[str]:
    """The layer that loses most, size, and metrics, before and after."""
    from dslc.quantization.analysis import size_before

    sizes = size_before(found.trained), found.program.constant_bytes
    worst = min(losses, key=lambda loss: loss.alone)
    metrics = [f"{name}: {value:.6g} in float, {after[name]:.6g} in integers" for name, value in before.items()]
    return [
        f"loses most: {worst.name}, {worst.alone:.1f} dB alone",
        f"weights: {sizes[0]:,} bytes in float, {sizes[1]:,} in integers",
        *metrics,
    ]
