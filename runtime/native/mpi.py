"""Several ranks by MPI: each trains on its part of every mini-batch, and all make the same update."""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TypeVar

import numpy as np

from dslc.cores import available_cores
from dslc.language.diagnostics import DataError, UsageError
from dslc.runtime.data.parts import Share
from dslc.runtime.native.compiled import Compiled
from dslc.runtime.native.exchange import Exchange
from dslc.runtime.native.held_signals import HeldSignals
from dslc.runtime.native.ranks import ALONE, Ranks
from dslc.runtime.native.same_data import ENDED, Examples, piece_checksum
from dslc.runtime.native.steps import step_on

Array = np.ndarray[Any, Any]
T = TypeVar("T")
P = TypeVar("P", bound=Examples)
REDUCTIONS = ("fast", "ordered")
GRACE_SECONDS = 2.0
"""How long another rank leaves the word to rank 0, which has mostly met with the same error."""
LONGEST_PAUSE = 0.005
"""How many seconds a rank that waits sleeps at most before it looks again."""


def over_ranks(comm: Any, reduce: str = "fast") -> Ranks:
    """The ranks of a communicator of mpi4py; None, or one of one rank, is this process alone.

    reduce: `fast` leaves the order of sums to MPI; `ordered` adds up in the order of the ranks.

    Raises:
        DataError: `reduce` is another word.
    """
    ranks = ALONE if comm is None or comm.size == 1 else MpiRanks(comm, reduce == "ordered")
    ranks.alike("reduce", reduce)
    if reduce not in REDUCTIONS:
        raise DataError(f"reduce is {' or '.join(REDUCTIONS)}, not {reduce!r}")
    return ranks


@contextmanager
def joined(comm: Any, reduce: str) -> Generator[Ranks]:
    """The same for as long as the context lasts: then what they hold of MPI is given back."""
    ranks = over_ranks(comm, reduce)
    try:
        yield ranks
    except Exception:
        ranks.free()
        raise
    ranks.free()


class AlikeError(DataError):
    """What must be the same on all ranks is not: raised on all of them."""


class MpiRanks(Ranks):
    """The ranks of a communicator. Every method is called by all of them, in the same order."""

    def __init__(self, comm: Any, ordered: bool) -> None:
        from mpi4py import MPI

        self._mpi, self._comm, self._ordered = MPI, comm.Dup(), ordered
        self.rank, self.size = comm.rank, comm.size
        self._begun: list[Any] = []
        self._signals = HeldSignals()
        self._exchange: Exchange | None = None
        self._seconds_a_step = 0.0
        self._machine = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        self._cores: int = self._share_of_cores()

    def capacity(self, batch: int, slices: int = 1) -> int:
        """The most examples of a mini-batch that a rank has. Raises DataError if some ranks would have none, or none of
        a slice."""
        if batch < self.size * slices:
            small, what = (batch, "mini-batch") if slices == 1 else (batch // slices, "slice")
            remedy = "raise `batch`" if slices == 1 else "divide the mini-batch into fewer"
            raise DataError(f"a {what} of {small} examples is too small for {self.size} ranks: {remedy}")
        return super().capacity(batch)

    # ------------------------------------------------------------------------------------------- agreement

    def cores(self) -> int:
        """Those of this process, shared with the ranks on the same machine that may run on the same ones."""
        return self._cores

    def _share_of_cores(self) -> int:
        mine = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
        rivals = sum(bool(mine & other or mine == other) for other in self._machine.allgather(mine))
        return max(1, available_cores() // rivals)

    @contextmanager
    def one_before_the_others(self) -> Generator[None]:
        """The others of a machine wait for its first rank."""
        if self._machine.rank:
            self._meet(self._machine)
        try:
            yield
        finally:
            if not self._machine.rank:
                self._meet(self._machine)

    def _meet(self, comm: Any) -> None:
        """Waits until all ranks of a communicator are here. MPI would spin: whoever waits for long, while another
        compiles or evaluates, leaves its core to that."""
        request, pause = comm.Ibarrier(), 0.0
        while not request.Test():
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause + 1e-5)

    def agreed(self, value: T) -> T:
        """The value of rank 0, on all ranks."""
        self._meet(self._comm)
        found: T = self._comm.bcast(value)
        return found

    def add_up(self, arrays: Iterable[Array]) -> None:
        """Adds up arrays in double precision over all ranks, in place: in one message."""
        given = list(arrays)
        total = np.concatenate([array.reshape(-1) for array in given])
        self._meet(self._comm)
        self.sum(total)
        for array, part in zip(given, np.split(total, np.cumsum([array.size for array in given])), strict=False):
            array[...] = part.reshape(array.shape)

    def alike(self, what: str, value: object) -> None:
        """Raises DataError, on all ranks, where the value is not that of rank 0 everywhere."""
        self._meet(self._comm)
        values = self._comm.allgather(value)
        other = next((rank for rank, theirs in enumerate(values) if theirs != values[0]), None)
        if other is not None:
            first, second = _difference(values[0], values[other])
            raise AlikeError(f"{what} must be the same on all ranks: {first} on rank 0, {second} on rank {other}")

    def pieces(self, pieces: Iterable[P]) -> Generator[P]:
        """The pieces of an epoch, each compared with that of rank 0 before it is trained."""
        before, rest = 0, iter(pieces)
        while True:
            piece = next(rest, None)
            self._compare(before, ENDED if piece is None else len(piece.order), piece_checksum(piece))
            if piece is None:
                return
            yield piece
            before += len(piece.order)

    def _compare(self, before: int, count: int, checksum: int) -> None:
        """Raises DataError, on all ranks, where the next piece of one has another size or checksum than rank 0's."""
        self._meet(self._comm)
        found = np.empty((self.size, 2), np.int64)
        self._comm.Allgather(np.array([count, checksum], np.int64), found)
        others = np.flatnonzero((found != found[0]).any(axis=1))
        if not len(others):
            return
        rank = int(others[0])
        first, other = int(found[0, 0]), int(found[rank, 0])
        if ENDED in (first, other):
            ended, on = (0, rank) if first == ENDED else (rank, 0)
            raise AlikeError(f"the stream ended on rank {ended} after {before} examples, and goes on on rank {on}")
        what = (
            f"{first} on rank 0, {other} on rank {rank}" if first != other else f"others on rank {rank} than on rank 0"
        )
        raise AlikeError(
            f"the data must be the same on all ranks: the next examples behind the first {before} are {what}"
        )

    def same_start(self, compiled: Compiled) -> None:
        """Gives all ranks the parameters and the optimizer state of rank 0."""
        for view in (*compiled.parameters.values(), *compiled.states().values()):
            array = view.numpy()
            self._comm.Bcast(array)
            if not self.first:
                view[...] = array

    @contextmanager
    def setting_up(self) -> Generator[None]:
        """An error of one rank is raised on all: where it happened as it is, elsewhere with the rank's number."""
        found: Exception | None = None
        try:
            yield
        except Exception as error:
            found = error
        self._meet(self._comm)
        told = self._comm.allgather(None if found is None else str(found))
        if found is not None:
            raise found
        broken = next((rank for rank, text in enumerate(told) if text is not None), None)
        if broken is not None:
            raise DataError(f"rank {broken}: {told[broken]}")

    @contextmanager
    def training(self) -> Generator[None]:
        """An error ends all ranks, with a line that tells where. Signals are answered between mini-batches, on all
        ranks at once."""
        try:
            with self._signals.held(), warnings.catch_warnings():
                if not self.first:
                    warnings.simplefilter("ignore")
                yield
                self._answer_signals()
        except (KeyboardInterrupt, AlikeError):
            raise
        except BaseException as error:
            self.abort(error)

    def abort(self, error: BaseException) -> None:
        """Tells of the error and ends all ranks. Where it is not one of the user's, its traceback is told too."""
        if not self.first:
            time.sleep(GRACE_SECONDS)
        if not isinstance(error, (DataError, UsageError)):
            traceback.print_exception(error)
        print(
            f"error: rank {self.rank} of {self.size}: {error or type(error).__name__}", file=sys.__stderr__, flush=True
        )
        sys.stderr.flush()
        self._comm.Abort(1)

    @property
    def freed(self) -> bool:
        """Whether the communicators were given back."""
        return bool(self._comm == self._mpi.COMM_NULL)

    def free(self) -> None:
        """Gives back the communicators."""
        self._machine.Free()
        self._comm.Free()

    # ------------------------------------------------------------------------------------------- sums

    def sum(self, numbers: Array) -> None:
        """Adds up at once, in place."""
        if self._ordered:
            self._sum_in_order(numbers)
        else:
            self._comm.Allreduce(self._mpi.IN_PLACE, numbers)

    def begin(self, numbers: Array) -> None:
        """Begins to add up, in place; and lets MPI work at the sums that have begun before."""
        if self._ordered:
            self._sum_in_order(numbers)
        else:
            self._begun.append(self._comm.Iallreduce(self._mpi.IN_PLACE, numbers))
            self._mpi.Request.Testall(self._begun)

    def wait(self) -> None:
        """Until all sums that have begun are there."""
        self._mpi.Request.Waitall(self._begun)
        self._begun = []

    def _sum_in_order(self, numbers: Array) -> None:
        """((rank 0 + rank 1) + rank 2) + ..., whatever MPI does: each rank adds up a part of the numbers, and all get
        it from there."""
        ends = [len(numbers) * (rank + 1) // self.size for rank in range(self.size)]
        starts = [0, *ends[:-1]]
        counts = [end - start for start, end in zip(starts, ends, strict=True)]
        own = counts[self.rank]
        parts = np.empty((self.size, own), numbers.dtype)
        self._comm.Alltoallv(
            [numbers, counts, starts, self._type(numbers)], [parts, [own] * self.size, None, self._type(numbers)]
        )
        total = parts[0]
        for part in parts[1:]:
            total += part
        self._comm.Allgatherv([total, own, self._type(numbers)], [numbers, counts, starts, self._type(numbers)])

    def _type(self, numbers: Array) -> Any:
        return self._mpi.FLOAT if numbers.dtype == np.float32 else self._mpi.DOUBLE

    # ------------------------------------------------------------------------------------------- mini-batches

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
        """Trains on this rank's part of each mini-batch, for as many mini-batches as all have agreed on."""
        if self._exchange is None or not self._exchange.serves(compiled):
            self._exchange = Exchange(compiled, self)
        step = step_on(compiled, inputs, targets, weights, sums)
        steps, started, made = self._agreed_steps(seconds), time.perf_counter(), 0
        order = np.ascontiguousarray(order, np.int64)
        while done < len(order) and made < steps:
            whole = order[done : done + share.batch]
            self._exchange.share(share, len(whole))
            if not step(whole[share.places(len(whole))], float(rates[made])):
                self._answer_signals()
                return False, done
            done, made = done + len(whole), made + 1
        self._seconds_a_step = (time.perf_counter() - started) / max(1, made)
        self._answer_signals()
        return True, done

    def _agreed_steps(self, seconds: float) -> int:
        """How many mini-batches fit into so many seconds, as rank 0 has measured."""
        fit = seconds / self._seconds_a_step if self._seconds_a_step else 1
        return self.agreed(max(1, int(fit)))

    def _answer_signals(self) -> None:
        """A signal that one rank has received ends training on all."""
        came = self._comm.allreduce(self._signals.came, op=self._mpi.MAX)
        if came:
            self._signals.answer()


def _difference(first: object, second: object) -> tuple[object, object]:
    """What to show of two values that differ: of texts the first lines that do."""
    if not isinstance(first, str) or not isinstance(second, str):
        return first, second
    lines = zip_longest(first.splitlines(), second.splitlines(), fillvalue="nothing")
    return next(((one.strip(), other.strip()) for one, other in lines if one != other), (first, second))
