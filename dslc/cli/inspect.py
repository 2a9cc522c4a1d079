"""`dslc inspect`: the scale of activations and gradients by depth, as a table and as a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from dslc.cli.app import Data, Define, Spec, app, examples, overrides
from dslc.cli.data import DataOptions, locating, training_data
from dslc.cli.whole import OptionalWhole
from dslc.compiler import check_file
from dslc.language.diagnostics import CallError, UsageError

if TYPE_CHECKING:
    from dslc.ir import Network
    from dslc.proofs.scales import LayerScale
    from dslc.runtime.data.examples import Split


@app.command(
    help_epilogue=examples(
        "dslc inspect specs/lenet5.net --data mnist",
        "dslc inspect specs/mlp.net --data mnist -o inspect.png",
        "dslc inspect runs/mlp-1/spec.net --data mnist --weights runs/mlp-1/weights.safetensors",
    )
)
def inspect(
    spec: Spec,
    *,
    data: Data,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    examples_: Annotated[OptionalWhole, Parameter(name="--examples", validator=Number(gte=1))] = None,
    weights: Annotated[str | None, Parameter(name=["--weights", "--checkpoint"])] = None,
    read: DataOptions = DataOptions(),
    define: Define = None,
) -> None:
    """Show how large activations and gradients are by depth, a row a layer: what vanishes, what explodes.

    The network is as training would start it, also that of a run folder, or
    has the weights of a file.
    Computed in NumPy and float64.

    activation: the standard deviation of the layer's output. It vanishes
    below a thousandth of the smaller of 1 and the input's deviation, and
    explodes above a thousand times the larger.

    gradient: the standard deviation of the gradient of one example's loss
    with respect to the layer's output; norm: the root of the sum of its
    squares. It vanishes where the norm is below a thousandth of the norm at
    the loss, and explodes above a thousand times that. "-" stands where there
    is no gradient, as before rotate, shift or crop.

    Args:
        output: A .png to write the table to as a picture.
        examples_: How many examples of the training set; 64, or fewer where they would take more than a gigabyte.
        weights: A file of weights in place of fresh ones, or a checkpoint.
    """
    from dslc.cli.tables import print_table
    from dslc.proofs.inspection import default_count, sample_examples, untrained
    from dslc.proofs.scales import measure

    if output is not None and not output.endswith(".png"):
        raise CallError(f"the picture is a PNG: -o {Path(output).stem}.png")
    network = check_file(spec, overrides(define))
    network, train = _with_tables(network, training_data(network, data, read).train, weights)
    inputs, targets = sample_examples(network, train, examples_ or default_count(network), weights)
    scales = measure(untrained(network, train, weights), inputs, targets)
    title = f"{network.name}: scale by depth, {len(next(iter(inputs.values())))} examples"
    if output is not None:
        from dslc.proofs.scale_plot import plot_scales

        _write(output, plot_scales(title, scales))
    columns = ("layer", "output", "activation", "zeros", "gradient", "norm", "verdict")
    print_table(title, columns, [_cells(row) for row in scales.layers], "llrrrrl")
    if output is not None:
        print(f"wrote {output}")


def _with_tables(network: Network, train: Split, weights: str | None) -> tuple[Network, Split]:
    """Declared columns and texts as the network takes them, as the weights know it or the training set tells."""
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.data.vocabulary import Characters, text_input
    from dslc.runtime.training.spec_text import completed
    from dslc.runtime.training.weights import read_schema

    if not network.tables and text_input(network) is None:
        return network, train
    with locating(train):
        schema = (Schema() if weights is None else read_schema(weights)).of_tables(network, train.x, train.weights)
        network = completed(network, schema)
        y = schema.targets(network, train.y) if isinstance(train.y, Characters) else train.y
        return network, replace(train, x=schema.inputs(network, train.x), y=y)


def _cells(row: LayerScale) -> tuple[str, ...]:
    gradient, norm = ("-" if x is None else f"{x:.2e}" for x in (row.gradient, row.norm))
    return row.layer, row.output, f"{row.activation:.2e}", f"{100 * row.zeros:.1f}%", gradient, norm, row.verdict


def _write(path: str, picture: bytes) -> None:
    from dslc.cache import write_whole

    try:
        write_whole(Path(path), picture)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None
