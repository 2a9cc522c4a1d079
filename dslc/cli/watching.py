"""The options of `dslc train` that become callbacks: a time budget, more checkpoints, TensorBoard."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import positive
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.runtime.training.callbacks import Callback

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@Parameter(name="*")
@dataclass(frozen=True)
class WatchOptions:
    """What happens beside training."""

    time_budget: Annotated[
        str | None, Parameter(help="Training ends after this time, as in 90s, 30m or 2h; --resume goes on.")
    ] = None
    checkpoint_every: Annotated[
        int | None, Parameter(help="Keep a checkpoint-N of every so many epochs N, besides that of the last one.")
    ] = None
    tensorboard: Annotated[str | None, Parameter(help="A folder for TensorBoard, which shows training as it goes.")] = (
        None
    )

    train_metrics: Annotated[
        int | None,
        Parameter(
            help="Measure so many training examples after each epoch as the dev set is measured: without dropout and "
            "augmentation."
        ),
    ] = None
    histograms: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Keep histograms of all weights and gradients after each epoch, which the report then shows.",
        ),
    ] = False

    def callbacks(self) -> Callable[[Path], list[Callback]]:
        """What makes the callbacks for a run folder.

        Raises:
            CallError: a time or a number makes no sense.
            UsageError: tensorboardX is not installed.
        """
        from dslc.callbacks import Checkpoints, TensorBoard, TimeBudget

        if self.train_metrics is not None:
            positive(self.train_metrics, "--train-metrics")
        everywhere: list[Callback] = []
        if self.time_budget is not None:
            everywhere.append(TimeBudget(_seconds(self.time_budget)))
        if self.tensorboard is not None:
            everywhere.append(TensorBoard(self.tensorboard))
        every = None if self.checkpoint_every is None else positive(self.checkpoint_every, "--checkpoint-every")
        return lambda folder: (
            everywhere if every is None else [*everywhere, Checkpoints(folder / "checkpoint-{epoch}", every)]
        )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    if found is None or float(found[1]) <= 0:
        raise CallError(f"--time-budget wants a time, as in 90s, 30m or 2h, not {text!r}")
    return float(found[1]) * SECONDS[found[2]]
