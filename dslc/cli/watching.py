"""The options of `dslc train` that become callbacks: a time budget, more checkpoints, TensorBoard."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import positive
from dslc.cli.whole import OptionalWhole
from dslc.language.diagnostics import CallError

if TYPE_CHECKING:
    from dslc.runtime.training.callbacks import Callback

SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


@Parameter(name="*")
@dataclass(frozen=True)
class WatchOptions:
    """What happens beside training."""

    time_budget: Annotated[
        str | None, Parameter(help="Training ends after this time, as in 90s, 30m or 2h; --resume goes on.")
    ] = None
    checkpoint_every: Annotated[
        str | None,
        Parameter(
            help="10: keep a checkpoint-N of every tenth epoch N, besides that of the last one. 5min: write that one "
            "within epochs too, whenever so much time has gone by."
        ),
    ] = None
    tensorboard: Annotated[str | None, Parameter(help="A folder for TensorBoard, which shows training as it goes.")] = (
        None
    )

    train_metrics: Annotated[
        OptionalWhole,
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
        given, every = self.checkpoint_every, None
        if given is not None and given.lstrip("-").isdecimal():
            every = positive(int(given), "--checkpoint-every")
        self.checkpoint_seconds  # noqa: B018 - raises where it is neither
        return lambda folder: (
            everywhere if every is None else [*everywhere, Checkpoints(folder / "checkpoint-{epoch}", every)]
        )

    @property
    def checkpoint_seconds(self) -> float:
        """After how many seconds the newest checkpoint is written within an epoch too; infinite where never.

        Raises:
            CallError: it is neither a time nor a number of epochs.
        """
        given = self.checkpoint_every
        if given is None or given.lstrip("-").isdecimal():
            return math.inf
        return _seconds(given, "--checkpoint-every", "a number of epochs or ")


def _seconds(text: str, option: str = "--time-budget", other: str = "") -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|min|h|)", text.strip())
    if found is None or float(found[1]) <= 0 or (other and not found[2]):  # a fraction of an epoch
        raise CallError(f"{option} wants {other}a time, as in 90s, 30m or 2h, not {text!r}")
    return float(found[1]) * SECONDS[found[2]]
