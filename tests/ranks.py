"""Run by `mpiexec -n 3 python tests/ranks.py`: what several ranks train is what one trains. tests/test_mpi.py starts it
with the name of a check, and reads the lines that rank 0 prints."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import dslc.optimizers
from dslc import registry
from dslc.callbacks import Callback, TrainMetrics
from dslc.compiler import check_text
from dslc.language.diagnostics import DataError
from dslc.optimizers import Optimizer
from dslc.runtime.data.lazy import LazyArray
from dslc.runtime.model import Model
from dslc.runtime.native.mpi import MpiRanks, joined
from dslc.runtime.training.history import History

WORLD = MPI.COMM_WORLD
RNG = np.random.default_rng(20260101)
TINY = """net T {
  input x: 5
  dense(4) -> tanh -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer OPTIMIZER
  batch 7
  seed 5
  precision float64
}
"""
MIXED = """net M {
  input image: 6x5x3
  flip(horizontal) -> noise(0.1)
  conv(9, 3x3, pad=same, l2=0.01) -> batchnorm(variance=unbiased) -> relu -> maxpool(2x2) -> spatial_dropout(0.2)
  flatten -> dense(13, l1=0.001) -> batchnorm -> relu -> dropout(0.3)
  output kind = dense(3, l2=0.01) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 12
  seed 5
  precision float64
  clip norm(1)
  schedule plateau(1, 0.5)
  metrics f1, top2
  stop early(patience=2)
}
"""
PLAIN = """net P {
  input x: 7
  dense(9, l2=0.01) -> tanh -> dropout(0.3) -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 12 SLICES
  seed 5
}
"""


def groups() -> Iterator[tuple[int, MPI.Comm]]:
    """The first two ranks, then all three; this rank only where it belongs."""
    for size in (2, 3):
        part = WORLD.Split(0 if WORLD.rank < size else MPI.UNDEFINED)
        if part != MPI.COMM_NULL:
            yield size, part


def classes(count: int, *shape: int) -> tuple[Any, Any]:
    return RNG.normal(size=(count, *shape)).astype(np.float32), RNG.integers(0, 3, count)


def trained(text: str, comm: MPI.Comm | None, data: Any, **more: Any) -> tuple[Model, History]:
    model = Model(check_text(text), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, model.fit(*data, comm=comm, **more)


def state(model: Model) -> dict[str, Any]:
    """All that training continues from."""
    return model.copy_weights() | {name: view.numpy() for name, view in model.compiled.states().items()}


def distance(one: Model, other: Model) -> float:
    mine, its = state(one), state(other)
    return max(float(np.abs(mine[name] - its[name]).max()) for name in mine)


def same_bits_everywhere(model: Model, comm: MPI.Comm) -> bool:
    """Whether all ranks hold the same weights and optimizer state."""
    found = b"".join(array.tobytes() for array in state(model).values())
    return all(theirs == found for theirs in comm.allgather(found))


def say(text: str) -> None:
    if WORLD.rank == 0:
        print(text, flush=True)


def optimizers() -> None:
    """Every optimizer, with a last mini-batch that leaves a rank without examples."""
    data = classes(15, 5)
    comm = dict(list(groups())).get(2)
    for name, optimizer in registry.every(dslc.optimizers, Optimizer).items():
        if comm is None:
            continue
        text = TINY.replace("OPTIMIZER", optimizer.examples[0])
        model, _ = trained(text, comm, data, epochs=2)
        assert same_bits_everywhere(model, comm), name
        if comm.rank == 0:
            one, _ = trained(text, None, data, epochs=2)
            assert model.step == one.step == 6
            assert distance(model, one) < 1e-9, (name, distance(model, one))
            say(f"{name} is that of one rank")


def layers() -> None:
    """Batch norm, dropout, noise, flips, penalties, clipping by the norm, sample weights, a dev set, early stopping and
    a schedule that goes by it, metrics of some training examples; the last mini-batch is smaller."""
    x, y = classes(40, 6, 5, 3)
    weights = RNG.integers(0, 3, 40).astype(np.float32)
    measured = TrainMetrics(x[20:], y[20:], weights[20:])
    more = {"sample_weight": weights, "dev": (x[:10], y[:10]), "epochs": 12, "callbacks": [measured]}
    for size, comm in groups():
        model, history = trained(MIXED, comm, (x, y), **more)
        assert same_bits_everywhere(model, comm)
        if comm.rank == 0:
            one, alone = trained(MIXED, None, (x, y), **more)
            assert distance(model, one) < 1e-7, distance(model, one)
            assert (history.stopped, history.best_epoch) == (alone.stopped, alone.best_epoch)
            assert len(history.records) == len(alone.records)
            for mine, its in zip(history.records, alone.records, strict=True):
                assert all(abs(mine[key] - its[key]) < 1e-7 for key in its if key != "seconds"), (mine, its)
            say(f"{size} ranks: {history.stopped} after {len(history.records)} epochs")


def own_statistics() -> None:
    """batchnorm(sync=off): each rank's own moments, and running averages that all agree on."""
    text = "net B {\n input x: 4\n batchnorm(sync=off, momentum=0.5) -> dense(3) -> softmax\n}\n"
    text += "train {\n loss cross_entropy\n optimizer sgd(0.1)\n batch 12\n shuffle off\n precision float64\n}\n"
    x, y = classes(12, 4)
    for size, comm in groups():
        model, _ = trained(text, comm, (x, y), epochs=1)
        parts = [part.astype(np.float64) for part in np.split(x, size)]
        mean = 0.5 * np.mean([part.mean(axis=0) for part in parts], axis=0)
        var = 0.5 + 0.5 * np.mean([part.var(axis=0) for part in parts], axis=0)
        assert np.abs(model.parameters["batchnorm1.mean"].numpy() - mean).max() < 1e-12
        assert np.abs(model.parameters["batchnorm1.var"].numpy() - var).max() < 1e-12
        assert same_bits_everywhere(model, comm)
    say("running averages are the means of the ranks")


def rounds() -> None:
    """quantize int8: all round by the mean of their ranges; the last mini-batch leaves ranks without an example."""
    text = "net Q {\n input x: 4\n dense(5) -> relu -> dense(3) -> softmax\n}\n"
    text += "train {\n loss cross_entropy\n optimizer sgd(0.1)\n batch 12\n shuffle off\n precision float64\n"
    x, y = classes(13, 4)
    for size, comm in groups():
        model, _ = trained(text + " quantize int8\n}\n", comm, (x, y), epochs=1)
        ends = [[part.min(), part.max()] for part in np.split(x[:12].astype(np.float64), size)]
        expected = 0.9 * np.mean(ends, axis=0) + 0.1 * np.array([x[12].min(), x[12].max()], np.float64)
        assert np.abs(model.parameters["x_int8.range"].numpy() - expected).max() < 1e-7
        assert same_bits_everywhere(model, comm)
    say("ranges are the means of the ranks")


def in_slices() -> None:
    """Slices that the file asks for, of which a rank may have no example at the end of an epoch; batch norm sees those
    of all ranks. And slices that the planner chooses."""
    images = classes(40, 6, 5, 3)
    weights = RNG.integers(0, 3, 40).astype(np.float32)
    text = MIXED.replace("batch 12", "batch 12 in 2").replace("clip", "on_nan skip\n  clip")
    plain = PLAIN.replace("SLICES", "in 3\n  precision float64")
    wide = (
        PLAIN.replace("SLICES", "\n  precision float64")
        .replace("dense(9", "dense(1100")
        .replace("batch 12", "batch 530")
    )
    cases: list[tuple[str, str, Any, dict[str, Any]]] = [
        ("mixed", text, images, {"sample_weight": weights, "dev": (images[0][:10], images[1][:10]), "epochs": 3}),
        ("plain", plain, classes(42, 7), {"epochs": 2, "reduce": "ordered"}),
        ("chosen", wide, classes(700, 7), {"epochs": 2}),
    ]
    for size, comm in groups():
        for name, spec, data, more in cases:
            model, history = trained(spec, comm, data, **more)
            assert same_bits_everywhere(model, comm), name
            assert model.compiled.memory.step_batch > model.compiled.memory.batch or (name, size) == ("chosen", 3)
            if comm.rank == 0:
                one, alone = trained(spec, None, data, **(more | {"reduce": "fast"}))
                assert model.step == one.step
                assert distance(model, one) < 1e-9, (name, distance(model, one))
                for mine, its in zip(history.records, alone.records, strict=True):
                    assert all(abs(mine[key] - its[key]) < 1e-9 for key in its if key != "seconds"), (mine, its)
        if comm.rank == 0:
            say(f"{size} ranks: slices")
    try:
        trained(plain.replace("in 3", "in 6"), WORLD, classes(12, 7))
        raise AssertionError("not refused")
    except DataError as error:
        assert "a slice of 2 examples is too small for 3 ranks: divide the mini-batch into fewer" in str(error), error


def ordered() -> None:
    """Sums in the order of the ranks: the bits of one rank that works through the mini-batch in as many slices."""
    data = classes(42, 7)
    for size, comm in groups():
        model, _ = trained(PLAIN.replace("SLICES", ""), comm, data, epochs=2, reduce="ordered")
        if comm.rank == 0:
            one, _ = trained(PLAIN.replace("SLICES", f"in {size}"), None, data, epochs=2)
            assert distance(model, one) == 0
            say(f"{size} ranks: the bits of {size} slices")


class Counted(LazyArray):
    """Rows that are read one by one, and counted."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def rows(self, at: Any) -> Any:
        self.read += len(at)
        return self.array[at]


class Columns:
    """As data sets of Hugging Face are, of which it counts what is read."""

    def __init__(self, **columns: Any) -> None:
        self.columns, self.column_names, self.read = columns, list(columns), 0

    def __len__(self) -> int:
        return len(self.columns["x"])

    def with_format(self, kind: str) -> Columns:
        return self

    def __getitem__(self, at: list[int]) -> dict[str, Any]:
        self.read += len(at)
        return {name: column[at] for name, column in self.columns.items()}


def sources(folder: Path) -> None:
    """Arrays on the disk and streams, where steps that are not finite are left out: in parts as for one rank. Of what
    is read when it is needed, and judged, each rank has its share."""
    x, y = classes(40, 7)
    if WORLD.rank == 0:
        np.save(folder / "x.npy", x)
    WORLD.Barrier()
    on_disk = np.load(folder / "x.npy", mmap_mode="r")
    text = PLAIN.replace("SLICES", "\n  precision float64\n  on_nan skip")
    stream = dslc.Stream(lambda: ((x[at : at + 9], y[at : at + 9]) for at in range(0, 40, 9)), shuffle=20)
    dev, few = (x[:20], y[:20]), dslc.Stream(lambda: ((x[at : at + 10], y[at : at + 10]) for at in (0, 10)))
    lazy, judged, rows = Counted(x), Counted(x[:20]), Columns(x=x, kind=y)
    for name, data, held in (
        ("disk", (on_disk, y), dev),
        ("stream", (stream,), few),
        ("read when needed", (lazy, y), (judged, y[:20])),
        ("columns", (dslc.Stream(rows, x="x", y="kind"),), dev),
    ):
        model, history = trained(text, WORLD, data, epochs=2, dev=held)
        assert same_bits_everywhere(model, WORLD)
        if name == "read when needed":
            assert lazy.read < 2 * (40 / 3 + 4) + 40, lazy.read  # with stand-ins, and some before training
            assert judged.read < 2 * 7 + 8, judged.read  # the first is looked at again and again
        assert rows.read < 2 * (40 / 3 + 4) + 40, rows.read
        if WORLD.rank == 0:
            one, alone = trained(text, None, data, epochs=2, dev=held)
            assert model.step == one.step == 8
            assert distance(model, one) < 1e-9, (name, distance(model, one))
            for mine, its in zip(history.records, alone.records, strict=True):
                assert all(abs(mine[key] - its[key]) < 1e-9 for key in its if key != "seconds"), (mine, its)
            say(f"{name}: as on one rank")


def resumed(folder: Path) -> None:
    """A training that stops within an epoch goes on with other numbers of ranks."""
    data, text = classes(40, 7), PLAIN.replace("SLICES", "\n  precision float64")

    class Stop(Callback):
        every_batch = True

        def on_batch(self, record: dict[str, float]) -> str | None:
            return "enough" if record["step"] == 6 else None

    found = dict(list(groups()))
    two, three = found.get(2), found[3]
    if two is not None:
        model, history = trained(text, two, data, epochs=3, callbacks=[Stop()])
        assert (history.stopped, model.step) == ("enough", 6)
        if two.rank == 0:
            model.checkpoint(folder / "checkpoint")
    WORLD.Barrier()
    model = Model(check_text(text), 1)
    model.resume(folder / "checkpoint")
    model.fit(*data, comm=three)
    assert same_bits_everywhere(model, WORLD)
    if WORLD.rank == 0:
        alone = Model(check_text(text), 1)
        alone.resume(folder / "checkpoint")
        alone.fit(*data)
        one, _ = trained(text, None, data, epochs=3)
        assert model.step == alone.step == one.step == 12
        assert max(distance(model, one), distance(alone, one)) < 1e-9
        say("resumed on three ranks and on one")


def batches(x: Any, y: Any, count: int, last: int = 14) -> dslc.Stream:
    """A stream of so many batches, with so many examples in the last."""
    sizes = [14] * (count - 1) + [last]
    return dslc.Stream(lambda: ((x[:size], y[:size]) for size in sizes))


def refused() -> None:
    """An error of one rank's data or call is raised on all, and the model can be used on."""
    x, y = classes(14, 5)
    model = Model(check_text(TINY.replace("OPTIMIZER", "sgd(0.1)")), 1)
    odd = WORLD.rank == 1
    bad, other = x.copy(), x.copy()
    bad[3], other[13, 4] = np.nan, 0.5
    train, dev = (x, y), (x[:9], y[:9])
    calls: list[tuple[str, Any, dict[str, Any]]] = [
        ("finite", (bad if odd else x, y), {}),
        ("14 on rank 0, 13 on rank 1", (x[: 14 - odd], y[: 14 - odd]), {}),
        ("the data must be the same on all ranks: inputs", (other if odd else x, y), {}),
        ("the data must be the same on all ranks: targets", (x, y[::-1] if odd else y), {}),
        ("the number of epochs must be the same on all ranks: 1 on rank 0, 2 on rank 1", train, {"epochs": 1 + odd}),
        ("the dev set must be the same on all ranks: none on rank 0, 9 examples", train, {"dev": dev if odd else None}),
        ("on_nan must be the same on all ranks: stop", train, {"on_nan": "skip" if odd else "stop"}),
        ("reduce must be the same on all ranks: fast", train, {"reduce": "ordered" if odd else "fast"}),
        ("a callback is", train, {"callbacks": [] if WORLD.rank else ["none"]}),
        ("the stream ended on rank 1 after 14 examples, and goes on on rank 0", (batches(x, y, 2 - odd),), {}),
        ("the next examples behind the first 14 are 14 on rank 0, 7", (batches(x, y, 2, 7 if odd else 14),), {}),
        ("others on rank 1 than on rank 0", (batches(other if odd else x, y, 1),), {}),
    ]
    for what, data, more in calls:
        try:
            model.fit(*data, comm=WORLD, **({"epochs": 1} | more))
            raise AssertionError(f"not refused: {what}")
        except DataError as error:
            assert what in str(error), error
            assert odd or what != "finite" or str(error).startswith("rank 1: ")
    with joined(WORLD, "fast") as ranks:
        model.fit(x, y, epochs=1, comm=WORLD)
    assert isinstance(ranks, MpiRanks)
    assert ranks.freed
    assert np.isfinite(model.train_step(x[:7], y[:7]))
    say("refused on all ranks")


def failing(how: str) -> None:
    """One rank dies or fails in the middle of a training that would go on for hours, and tells when."""
    data = classes(14, 5)

    def die(*_: object) -> None:
        print(time.time(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    class Fail(Callback):
        def on_epoch(self, record: dict[str, float]) -> None:
            if record["epoch"] == 3:
                print(time.time(), flush=True)
                raise DataError("the disk is full")

    if how == "killed" and WORLD.rank == 2:
        signal.signal(signal.SIGALRM, die)
        signal.setitimer(signal.ITIMER_REAL, 1)
    callbacks = [Fail()] if how == "raised" else []
    trained(TINY.replace("OPTIMIZER", "sgd(0.1)"), WORLD, data, epochs=10**8, callbacks=callbacks)


CHECKS: dict[str, Callable[..., None]] = {
    "layers": layers, "own_statistics": own_statistics, "rounds": rounds, "ordered": ordered, "in_slices": in_slices,
    "optimizers": optimizers,
    "resumed": lambda: resumed(Path(sys.argv[2])), "refused": refused,
    "sources": lambda: sources(Path(sys.argv[2])),
    "killed": lambda: failing("killed"), "raised": lambda: failing("raised"),
}  # fmt: skip

if __name__ == "__main__":
    try:
        CHECKS[sys.argv[1]]()
        done = WORLD.Ibarrier()
        while not done.Test():  # the end of MPI would spin
            time.sleep(0.01)
    except BaseException:
        traceback.print_exc()
        WORLD.Abort(1)
