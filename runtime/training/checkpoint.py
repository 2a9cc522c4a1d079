"""Checkpoints: all that training needs to continue as if it had never stopped, in one safetensors file.

The arrays are `last/NAME`, the parameters that training continues from, `best/NAME`, those of the best epoch if they
are kept, and `state/NAME.STATE`, the optimizer state. The metadata hold the spec as it was trained, its hash, and the
position as JSON. Random numbers need no state: shuffling and dropout draw by seed, epoch and step.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.json_text import parsed
from dslc.language.diagnostics import DataError, SpecError
from dslc.runtime.data.schema import Schema
from dslc.runtime.native.parameters import Stored, copied, is_finite
from dslc.runtime.training.compatibility import changed_settings, differences
from dslc.runtime.training.history import History
from dslc.runtime.training.weights import DATA, read_arrays, require_weights, write_arrays
from dslc.runtime.training.weights import differences as array_differences

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Held = Mapping[str, Stored]
"""Arrays, or views of the network's memory that are read when they are written."""
Shapes = Mapping[str, tuple[int, ...]]
LAST, BEST, STATE = "last/", "best/", "state/"


@dataclass
class Begun:
    """An epoch that has begun. Up to update number `step`, `trained` of its examples were trained on; since then each
    update has taken `batch`, counted by the network itself, so that no interruption comes between. `left_out`: the
    examples of steps that were not finite. `sums`: what its losses consist of so far, see `steps.new_sums`."""

    sums: Array
    step: int
    batch: int
    trained: int = 0
    left_out: int = 0

    def done(self, step: int) -> int:
        """How many examples have had their turn; the last mini-batch may have had fewer than it is counted for."""
        return self.trained + (step - self.step) * self.batch + self.left_out

    def at(self, step: int) -> Within:
        """The same as numbers for a file."""
        return Within(self.done(step) - self.left_out, self.left_out, self.sums.tolist())


@dataclass(frozen=True)
class Within:
    """A position within an epoch: the examples trained on, those left out, and the sums of the losses."""

    trained: int
    left_out: int
    sums: list[float]


@dataclass(frozen=True)
class FitState:
    """The state of a call of `fit`: its history, the epoch `end` that it was meant to reach, the best weights, and the
    epoch that has begun. If the network holds the best weights instead of the last, `last_weights` are set, and
    `best_weights` are not: there is one copy besides what the network holds."""

    history: History
    end: int
    best_weights: Held | None = None
    last_weights: Held | None = None
    begun: Begun | None = None

    def copy(self) -> FitState:
        """A copy with a history, sums and weights of its own, which no running `fit` changes."""
        begun = self.begun and replace(self.begun, sums=self.begun.sums.copy())
        best, last = (weights and copied(weights) for weights in (self.best_weights, self.last_weights))
        history = replace(self.history, records=list(self.history.records))
        return replace(self, history=history, begun=begun, best_weights=best, last_weights=last)

    def last(self, held: Held) -> Held:
        """The weights that training continues from. held: the network's present weights."""
        return held if self.last_weights is None else self.last_weights

    def best(self, held: Held) -> Held:
        """The weights of the best epoch, none where they are not kept."""
        return (self.best_weights or {}) if self.last_weights is None else held

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best weights; None where none are kept besides the last."""
        return None if self.best_weights is None and self.last_weights is None else self.history.best_epoch

    @property
    def done(self) -> int:
        """The number of epochs that are done."""
        return int(self.history.records[-1]["epoch"]) if self.history.records else 0

    @property
    def over(self) -> bool:
        """Whether training has ended: all epochs are done, or it stopped early."""
        return self.history.stopped == "early" or self.done >= self.end

    def remaining(self) -> int:
        """The number of epochs left. Raises DataError if training is over."""
        done = self.done
        if self.history.stopped == "early":
            raise DataError(f"this training stopped early after epoch {done}: say how many more epochs to train")
        if self.over:
            raise DataError(f"this training is done (epoch {done} of {self.end}): say how many more epochs to train")
        return self.end - done


@dataclass(frozen=True)
class Position:
    """The part of a checkpoint that is not arrays. `holds_best`: the network held the best weights, not the last.
    `unfitted`: layers such as standardize that were not fitted yet. `end` is 0 if there was no `fit`. `watched`: the
    metric that the schedule goes by, of every epoch, smaller being better. `within`: where the epoch that has begun
    stands. `lr_factor`: what `on_nan halve_lr` has left of the learning rate."""

    step: int
    epoch: int
    unfitted: list[str]
    holds_best: bool
    end: int
    records: list[dict[str, float]]
    best_epoch: int | None
    stopped: str
    watched: list[float] = field(default_factory=list)
    within: Within | None = None
    lr_factor: float = 1.0


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint: arrays by name in the language's shapes, and the position."""

    position: Position
    last: Held
    best: Held
    states: Held

    @property
    def fit_state(self) -> FitState | None:
        """The state that `fit` continues from; None if there was no `fit`."""
        p = self.position
        if not p.end:
            return None
        history = History(p.records, p.best_epoch, p.stopped)
        begun = None
        if p.within is not None:
            begun = Begun(np.array(p.within.sums), p.step, 0, p.within.trained, p.within.left_out)
        best, last = (None, self.last) if p.holds_best else (self.best or None, None)
        return FitState(history, p.end, best, last, begun)

    def write(self, path: str | Path, network: Network, schema: Schema) -> None:
        """Writes the file atomically, with the schema of the data.

        Raises:
            DataError: it cannot be written, or a weight is not finite.
        """
        groups = {LAST: self.last, BEST: self.best, STATE: self.states}
        arrays = {prefix + name: array for prefix, group in groups.items() for name, array in group.items()}
        broken = next((name for name, array in self.last.items() if not is_finite(array)), None)
        if broken:
            raise DataError(f"{broken} is not finite, so no checkpoint is written")
        about = {"precision": network.precision, "position": json.dumps(asdict(self.position)), DATA: schema.to_json()}
        write_arrays(path, network, arrays, about)


def take(
    held: Held,
    states: Held,
    fit_state: FitState | None,
    step: int,
    epoch: int,
    unfitted: set[str],
    watched: list[float],
    lr_factor: float,
) -> Checkpoint:
    """A checkpoint of a model that holds the weights `held` and the optimizer state `states`."""
    fit_state = fit_state or FitState(History(), 0)
    last, history = fit_state.last(held), fit_state.history
    position = Position(
        step=step,
        epoch=epoch,
        unfitted=sorted(unfitted),
        holds_best=last is not held,
        end=fit_state.end,
        records=list(history.records),
        best_epoch=history.best_epoch,
        stopped=history.stopped,
        watched=list(watched),
        within=None if fit_state.begun is None else fit_state.begun.at(step),
        lr_factor=lr_factor,
    )
    return Checkpoint(position, last, fit_state.best(held), states)


def read(path: str | Path, network: Network, parameters: Shapes, states: Shapes) -> Checkpoint:
    """Reads a checkpoint, for a network with parameters and optimizer state of these shapes. Warns of settings of
    `train` that have changed.

    Raises:
        DataError: the file is not a checkpoint, or one of another network, when the message lists the differences; or
            its numbers are not what `require_weights` wants.
    """
    arrays, about = read_arrays(path)
    position, theirs = position_of(path, about), _network(path, about)
    problems = differences(theirs, network)
    if problems:
        raise DataError(f"{path} is a checkpoint of another network:\n  " + "\n  ".join(problems))
    groups = {LAST: parameters, STATE: states}
    if any(name.startswith(BEST) for name in arrays):
        groups[BEST] = parameters
    problems = array_differences(
        arrays, {p + name: shape for p, group in groups.items() for name, shape in group.items()}
    )
    if problems:
        raise DataError(f"the arrays in {path} are not those of its own spec:\n  " + "\n  ".join(problems))
    require_weights(path, arrays, network.dtype)
    for change in changed_settings(theirs, network):
        warnings.warn(f"training continues with another setting: {change}", stacklevel=3)
    last, best, state = ({n: arrays[p + n] for n in groups.get(p, ())} for p in (LAST, BEST, STATE))
    return Checkpoint(position, last, best, state)


def position_of(path: str | Path, about: Mapping[str, str]) -> Position:
    """The position that the metadata of a checkpoint describe.

    Raises:
        DataError: they are not those of a checkpoint, or are damaged.
    """
    if "position" not in about:
        raise DataError(f"{path} is not a checkpoint: it does not hold a position in training")
    try:
        found = parsed(about["position"])
        within = found.get("within")
        return Position(**found | {"within": within and Within(**within)})
    except (ValueError, TypeError, AttributeError) as error:
        raise _senseless(path, error) from None


def _network(path: str | Path, about: Mapping[str, str]) -> Network:
    """The network that the metadata describe."""
    try:
        return check_text(about["spec"], None, about["precision"])
    except (ValueError, TypeError, KeyError, SpecError) as error:
        raise _senseless(path, error) from None


def _senseless(path: str | Path, error: Exception) -> DataError:
    return DataError(f"cannot make sense of the checkpoint {path}: {error}")
