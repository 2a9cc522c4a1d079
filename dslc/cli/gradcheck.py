"""`dslc gradcheck`: numerical against analytic gradients."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import Define, Spec, app, examples, overrides, positive
from dslc.cli.whole import Whole
from dslc.compiler import check_file
from dslc.derived import rounded_values, unrounded
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.proofs.gradcheck import GradientCheck


@app.command(
    help_epilogue=examples(
        "dslc gradcheck specs/lenet5.net",
        "dslc gradcheck specs/mlp_batchnorm.net --without-dropout --entries 100",
    )
)
def gradcheck(
    spec: Spec,
    *,
    examples_: Annotated[Whole, Parameter(name="--examples")] = 4,
    entries: Whole = 30,
    epsilon: float = 1e-5,
    seed: Whole = 0,
    without_dropout: Annotated[bool, Parameter(negative=())] = False,
    define: Define = None,
) -> int:
    """Compare numerical and analytic gradients in float64: a row a parameter, and all in one vector.

    Augmentation is always left out: nothing in it learns. So are truncated backpropagation through time and the
    rounding of quantize int8, whose gradients are not the slope of the loss.

    Args:
        examples_: How many examples the random mini-batch has.
        entries: How many entries of each parameter are compared; a large number takes all.
        epsilon: Half the distance between the two points of a difference.
        seed: Of the random mini-batch and the choice of entries.
        without_dropout: Switch dropout off; with it there is nothing to compare.
    """
    from dslc.proofs import gradcheck as checking
    from dslc.runtime.data.random import random_batch
    from dslc.runtime.model import Model

    if not 0 < epsilon < 1:
        raise CallError(f"--epsilon must lie between 0 and 1, not {epsilon:g}")
    positive(seed, "--seed", 0)
    network = check_file(spec, overrides(define), "float64")
    if without_dropout:
        network = checking.without_dropout(network)
    checking.refuse_dropout(network)
    network, augmenting = checking.without_augmentation(network)
    if augmenting:
        print(f"note: checked on examples as at prediction, without {', '.join(augmenting)}", file=sys.stderr)
    network, cut = checking.without_truncation(network)
    if cut:
        print(
            f"note: checked with the gradients of all steps, without the truncate of {', '.join(cut)}", file=sys.stderr
        )
    if rounded_values(network):
        print("note: checked without the rounding of quantize int8: a staircase has no slopes", file=sys.stderr)
        network = unrounded(network)
    model = Model(network)
    model.training  # noqa: B018 - raises where there is no loss to differentiate
    x, y = random_batch(model.network, min(positive(examples_, "--examples"), model.batch), seed)
    found = checking.check_gradients(model, x, y, positive(entries, "--entries"), seed, epsilon)
    _print_gradients(f"{model.network.name}: gradients, epsilon {epsilon:g}", found)
    return 1 if found.failures else 0


def _print_gradients(title: str, found: GradientCheck) -> None:
    """A row a parameter, a row for all together; then of each row that fails the entry that differs most."""
    from dslc.cli.tables import print_table

    cells = [(r.name, str(r.compared), str(r.skipped), f"{r.difference:.1e}", r.verdict) for r in found.rows]
    compared, skipped = sum(r.compared for r in found.rows), sum(r.skipped for r in found.rows)
    total = ("all together", str(compared), str(skipped), f"{found.difference:.1e}", found.verdict)
    columns = ("parameter", "compared", "at kinks", "relative difference", "verdict")
    print_table(title, columns, [*cells, total], "lrrrl")
    for row in found.failures:
        if (worst := row.worst) is not None:
            index = ", ".join(map(str, worst.index))
            print(f"{row.name}[{index}]: numerical {worst.numerical:.6e}, analytic {worst.analytic:.6e}")
