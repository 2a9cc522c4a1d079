"""Checkpoints: all that training needs to go on as if it had never stopped, in one safetensors file.

Its arrays are `last/NAME`, the parameters from which training goes on, `best/NAME`, those of the best epoch where they
are kept, and `state/NAME.STATE`, what the optimizer keeps. The metadata hold the spec as it was trained with its hash,
and the position as JSON. Random numbers need no state: shuffling and dropout draw by seed, epoch and step.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.language.diagnostics import DataError, SpecError
from dslc.runtime.data.schema import Schema
from dslc.runtime.training.compatibility import changed_settings, differences
from dslc.runtime.training.history import History
from dslc.runtime.training.weights import DATA, read_arrays, write_arrays
from dslc.runtime.training.weights import differences as array_differences

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]
LAST, BEST, STATE = "last/", "best/", "state/"


@dataclass(frozen=True)
class Standing:
    """Where a call of `fit` stands: `end` is the epoch that it was to end with. `last_weights` are given where the
    network holds the best ones."""

    history: History
    end: int
    best_weights: Arrays | None = None
    last_weights: Arrays | None = None

    def copy(self) -> Standing:
        """The same with a history of its own, which no `fit` adds to."""
        return replace(self, history=replace(self.history, records=list(self.history.records)))

    def last(self, held: Arrays) -> Arrays:
        """What training goes on from in a network that holds these weights: the last ones where `held` are the best,
        else `held`, which somebody changed since."""
        if self.last_weights is None or self.best_weights is None:
            return held
        holds_best = all(np.array_equal(held[name], array) for name, array in self.best_weights.items())
        return self.last_weights if holds_best else held

    @property
    def over(self) -> bool:
        """Whether training came to its end: all epochs done, or stopped early."""
        return self.history.stopped == "early" or self.history.records[-1]["epoch"] >= self.end

    def remaining(self) -> int:
        """Epochs that are still to be done. Raises DataError where training is over."""
        done = int(self.history.records[-1]["epoch"])
        if self.history.stopped == "early":
            raise DataError(f"this training stopped early after epoch {done}: name the epochs to go on for")
        if self.over:
            raise DataError(f"this training is done (epoch {done} of {self.end}): name the epochs to go on for")
        return self.end - done


@dataclass(frozen=True)
class Position:
    """The part of a checkpoint that is no array. `holds_best`: prediction used the best weights, not the last.
    `unfitted`: first layers that have not seen the training set. Without records there was no `fit`."""

    step: int
    epoch: int
    unfitted: list[str]
    holds_best: bool
    end: int
    records: list[dict[str, float]]
    best_epoch: int | None
    stopped: str


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by name in the language's shapes, and the position."""

    position: Position
    last: Arrays
    best: Arrays
    states: Arrays

    @property
    def standing(self) -> Standing | None:
        """What `fit` goes on from; None where there was none."""
        p = self.position
        if not p.records:
            return None
        history = History(p.records, p.best_epoch, p.stopped)
        return Standing(history, p.end, self.best or None, self.last if p.holds_best else None)

    def write(self, path: str | Path, network: Network, schema: Schema) -> None:
        """The file appears whole or not at all; `schema` is what the model knows of its data.

        Raises:
            DataError: it cannot be written, or a weight is not finite: that would not be worth going on from.
        """
        groups = {LAST: self.last, BEST: self.best, STATE: self.states}
        arrays = {prefix + name: array for prefix, group in groups.items() for name, array in group.items()}
        broken = next((name for name, array in self.last.items() if not np.isfinite(array).all()), None)
        if broken:
            raise DataError(f"{broken} is not finite: no checkpoint is written")
        about = {"precision": network.precision, "position": json.dumps(asdict(self.position)), DATA: schema.to_json()}
        write_arrays(path, network, arrays, about)


def take(
    held: Arrays, states: Arrays, standing: Standing | None, step: int, epoch: int, unfitted: set[str]
) -> Checkpoint:
    """A checkpoint of a model that holds these weights."""
    standing = standing or Standing(History(), 0)
    last, history = standing.last(held), standing.history
    position = Position(
        step=step,
        epoch=epoch,
        unfitted=sorted(unfitted),
        holds_best=last is not held,
        end=standing.end,
        records=list(history.records),
        best_epoch=history.best_epoch,
        stopped=history.stopped,
    )
    return Checkpoint(position, last, standing.best_weights or {}, states)


def read(path: str | Path, network: Network, parameters: Shapes, states: Shapes) -> Checkpoint:
    """The checkpoint in a file, for a network with parameters and optimizer state of these shapes. Settings of `train`
    that are others now are warned of.

    Raises:
        DataError: it is none, or one of another network, with what differs.
    """
    arrays, about = read_arrays(path)
    position, theirs = _described(path, about)
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
    for change in changed_settings(theirs, network):
        warnings.warn(f"training goes on with another setting: {change}", stacklevel=3)
    last, best, state = ({n: arrays[p + n] for n in groups.get(p, ())} for p in (LAST, BEST, STATE))
    return Checkpoint(position, last, best, state)


def _described(path: str | Path, about: Mapping[str, str]) -> tuple[Position, Network]:
    """What the metadata say: where training stood, and the network."""
    if "position" not in about:
        raise DataError(f"{path} is no checkpoint: it does not say where training stood")
    try:
        return Position(**json.loads(about["position"])), check_text(about["spec"], None, about["precision"])
    except (ValueError, TypeError, KeyError, SpecError) as error:
        raise DataError(f"the checkpoint {path} is not understood: {error}") from None
