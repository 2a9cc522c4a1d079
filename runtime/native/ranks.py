"""The ranks that share a training: this process alone, which is the plain case, and what several have in common."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np

from dslc.cores import available_cores
from dslc.runtime.data.parts import Part, Share
from dslc.runtime.native.compiled import Compiled
from dslc.runtime.native.same_data import Examples
from dslc.runtime.native.steps import train_batches

Array = np.ndarray[Any, Any]
T = TypeVar("T")
P = TypeVar("P", bound=Examples)


class Ranks:
    """One rank: this process trains alone. `mpi.py` has those of several."""

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone shows, writes, and calls callbacks."""
        return self.rank == 0

    @property
    def part(self) -> Part:
        """Which part of data is this rank's, where each has one of its own."""
        return Part(self.rank, self.size)

    def capacity(self, batch: int, slices: int = 1) -> int:
        """The most examples of a mini-batch that a rank has, where it is worked through in so many slices."""
        return -(-batch // self.size)

    def cores(self) -> int:
        """How many cores this rank may use: those that it does not share with ranks on the same machine."""
        return available_cores()

    def one_before_the_others(self) -> AbstractContextManager[None]:
        """Around what one rank of each machine does first, so that the others find it done, such as compiling."""
        return nullcontext()

    def agreed(self, value: T) -> T:
        """The value of rank 0, on all ranks."""
        return value

    def add_up(self, arrays: Iterable[Array]) -> None:
        """Adds up arrays in double precision over all ranks, in place."""

    def alike(self, what: str, value: object) -> None:
        """Raises DataError, on all ranks, where a value that must be the same on all is not."""

    def pieces(self, pieces: Iterable[P]) -> Iterable[P]:
        """The pieces of an epoch. Raises DataError, on all ranks, where one has other examples than rank 0."""
        return pieces

    def same_start(self, compiled: Compiled) -> None:
        """Gives all ranks the parameters and the optimizer state of rank 0."""

    def setting_up(self) -> AbstractContextManager[None]:
        """Around what each rank reads and looks through by itself: an error of one is raised on all."""
        return nullcontext()

    def training(self) -> AbstractContextManager[None]:
        """Around a training: nobody waits for a rank that fails in it, and a signal reaches all ranks."""
        return nullcontext()

    def free(self) -> None:
        """Gives back what the ranks hold of MPI: they train no more."""

    def train_batches(
        self,
        compiled: Compiled,
        inputs: list[Array],
        targets: list[Array],
        weights: Array | None,
        order: Array,
        done: int,
        sums: Array,
        rates: Array,
        seconds: float,
        share: Share,
    ) -> tuple[bool, int]:
        """Trains as `steps.train_batches` does, on this rank's share of mini-batches; `order` and `done` count the
        examples of all ranks."""
        return train_batches(compiled, inputs, targets, weights, order, done, sums, rates, seconds, share.batch)


ALONE = Ranks()
