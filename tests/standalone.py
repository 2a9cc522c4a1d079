"""Emitted C in a program of its own: another machine's under an emulator, or watched by sanitizers.

Memory goes as a file into the program and comes back as one; `runtime.memory` and `runtime.parameters` pack and unpack
it as they do for the C inside of Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dslc.codegen.build import FLAGS
from dslc.codegen.emit import emit
from dslc.hyperparameters import values
from dslc.ir import Network
from dslc.operation import Tensor, identifier
from dslc.plan import Plan
from dslc.planning.planner import caller_tensors
from dslc.proofs.reference import Interpreter
from dslc.proofs.verify import TOLERANCES
from dslc.runtime.native.memory import Arena
from dslc.runtime.native.parameters import Parameters, ParameterView
from dslc.target import Target
from helpers import Arrays, assert_all_close, assert_close, gaps

MAIN = Path(__file__).with_suffix(".c")
LIMITS = {name: limits[:2] for name, limits in TOLERANCES.items()}
"""For outputs and losses, and for gradients and what steps along them make, of the largest number of a tensor."""
FIRST_STEP = 3
"""Updates before the first that the program does: adam and dropout count them."""


@dataclass(frozen=True)
class Toolchain:
    """How the C of a target is compiled and run."""

    name: str
    target: Target
    compiler: str = "gcc"
    flags: tuple[str, ...] = ("-O1",)
    emulator: tuple[str, ...] = ()

    def command(self, source: Path, executable: Path) -> list[str]:
        flags = (*FLAGS, *self.target.flags, "-w", *self.flags)
        return [self.compiler, *flags, str(source), "-o", str(executable), "-lm"]

    def missing(self, folder: Path) -> str:
        """What is not installed; empty where nothing is missing."""
        for program in (self.compiler, *self.emulator[:1]):
            if shutil.which(program) is None:
                return program
        source = folder / "nothing.c"
        source.write_text("int main(void) { return 0; }\n")
        done = subprocess.run(self.command(source, folder / "nothing"), capture_output=True, check=False)
        return f"what {self.compiler} needs for {' '.join(self.flags)}" if done.returncode else ""


@dataclass(frozen=True)
class Results:
    """What a program left."""

    outputs: Arrays
    loss_sums: np.ndarray
    gradients: Arrays
    losses: np.ndarray
    parameters: Arrays

    def bits(self) -> list[bytes]:
        """All of it, to be compared with another."""
        several = (self.outputs, self.gradients, self.parameters)
        return [a.tobytes() for a in (self.loss_sums, self.losses, *(a for some in several for a in some.values()))]


class Program:
    """A network compiled into a program; `parameters` are what it starts from."""

    def __init__(self, plan: Plan, toolchain: Toolchain, folder: Path) -> None:
        self.plan, self.toolchain, self.folder = plan, toolchain, folder
        self.network: Network = plan.graph.network
        self.arena = Arena(plan, training=True)
        self.arena.add_gradients()
        self.parameters = Parameters({p.name: self.view(p.name) for p in self.network.parameters})
        assert plan.graph.train is not None
        given = {t.name: t for t in caller_tensors(plan.graph.train)}
        self.inputs = [given[f"{v.name}_in"] for v in self.network.inputs]
        self.targets = [given[f"{h.name}_target"] for h in self.network.heads]
        self.executable = folder / "program"
        self._compile()

    @property
    def dtype(self) -> np.dtype:
        return self.arena.numbers.dtype

    def view(self, name: str, suffix: str = "") -> ParameterView:
        buffer = self.plan.kept[f"{identifier(name)}{suffix}"]
        return ParameterView(name, nullcontext(), lambda: (self.arena.view(buffer), buffer.layout), lambda: None)

    # ------------------------------------------------------------------------------------------- compile

    def _compile(self) -> None:
        source = emit(self.plan)
        file = self.folder / "program.c"
        file.write_text(f"{source.code}\n{self._definitions(source.prefix)}\n{MAIN.read_text()}")
        done = subprocess.run(
            self.toolchain.command(file, self.executable), capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr

    def _definitions(self, prefix: str) -> str:
        """What `standalone.c` asks for. A kernel that needs one number may read the vector that begins with it."""
        given = [*self.inputs, *self.targets]
        casts = [f"(const {self._c_type(t)} *)given[{i}]" for i, t in enumerate(given)]
        answers = self.network.answers
        made = [f"(real *)made[{i}]" for i in range(len(answers))]
        given_bytes = [t.elements * self._number(t).itemsize for t in given]
        read_ahead = (self.plan.target.lanes(self.plan.itemsize) - 1) * self.plan.itemsize
        made_bytes = [int(np.prod(h.value.shape)) * self.plan.itemsize for h in answers]
        return "\n".join(
            [
                f"#define NET_TYPE {prefix}_network",
                f"#define CALL(function) {prefix}_##function",
                f"#define HYPERPARAMETERS {''.join(f', .{name} = {x!r}' for name, x in values(self.network).items())}",
                f"#define INPUTS {', '.join(casts[: len(self.inputs)])}",
                f"#define TARGETS {', '.join(casts[len(self.inputs) :])}",
                f"#define NO_BYTES {', '.join(['NULL'] * len(self.inputs))}",
                f"#define OUTPUTS {', '.join(made)}",
                f"enum {{ GIVEN = {len(given)}, MADE = {len(answers)}, READ_AHEAD = {read_ahead} }};",
                f"enum {{ HEADS = {len(self.network.heads)} }};",
                f"static const size_t given_bytes[] = {{ {', '.join(map(str, given_bytes))} }};",
                f"static const size_t made_bytes[] = {{ {', '.join(map(str, made_bytes))} }};",
            ]
        )

    def _number(self, tensor: Tensor) -> np.dtype:
        return np.dtype(np.int32) if tensor.dtype == "int" else self.dtype

    def _c_type(self, tensor: Tensor) -> str:
        return "int32_t" if tensor.dtype == "int" else "real"

    # ------------------------------------------------------------------------------------------- run

    def run(self, xs: Arrays, ys: Arrays, threads: int = 1, lr: float = 0.1) -> Results:
        """Prediction and evaluation of all examples, gradients of the first mini-batch, a step on it, and a step on
        every mini-batch of the examples in reverse. What no call leaves for the next is not-a-number at the start."""
        before, after = self.folder / "before", self.folder / "after"
        count = len(next(iter(xs.values())))
        for name, start in (
            ("activations", np.nan),
            ("gradients", np.nan),
            ("state", 0),
            ("requested_gradients", np.nan),
        ):
            region = self.plan.region(name)
            self.arena.numbers[region.offset : region.offset + region.elements] = start
        if flag := self.plan.kept.get("prepared"):
            self.arena.numbers[flag.offset] = 0
        arrays = [*xs.values(), *ys.values()]
        with before.open("wb") as file:
            file.write(np.array([threads, self.seed, FIRST_STEP, count], np.int64).tobytes())
            file.write(np.float64(lr).tobytes() + self.arena.numbers.tobytes())
            for step in ("predict", "gradients", "train"):
                beside = np.array(gaps(self.plan, (step,), len(self.arena.numbers)), np.int64) * self.plan.itemsize
                file.write(np.int64(len(beside)).tobytes() + beside.tobytes())
            for tensor, array in zip((*self.inputs, *self.targets), arrays, strict=True):
                file.write(np.ascontiguousarray(array, self._number(tensor)).tobytes())
        command = [*self.toolchain.emulator, str(self.executable), str(before), str(after)]
        watched = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, errors="replace", env={**os.environ, **watched}
        )
        assert done.returncode == 0, f"{self.toolchain.name}: exit {done.returncode}\n{done.stderr[:4000]}"
        return self._results(after.read_bytes(), count)

    @property
    def seed(self) -> int:
        training = self.network.training
        assert training is not None
        return training.seed

    def _results(self, left: bytes, count: int) -> Results:
        """What the program wrote, in its order."""
        position = 0

        def take(dtype: np.dtype, *shape: int) -> np.ndarray:
            nonlocal position
            array = np.frombuffer(left, dtype, int(np.prod(shape)), position).reshape(shape)
            position += array.nbytes
            return array

        double = np.dtype(np.float64)
        answers = self.network.answers
        outputs = {head.name: take(self.dtype, count, *head.value.shape) for head in answers}
        loss_sums = take(double, len(answers), 2)
        self.arena.numbers[:] = take(self.dtype, len(self.arena.numbers))
        gradients = {p.name: self.view(p.name, "_grad").numpy() for p in self.network.parameters if p.learns}
        losses = take(double, 4, 2 * len(self.network.heads) + 2)
        self.arena.numbers[:] = take(self.dtype, len(self.arena.numbers))
        assert position == len(left)
        return Results(outputs, loss_sums, gradients, losses, {n: view.numpy() for n, view in self.parameters.items()})


def assert_program_agrees(program: Program, xs: Arrays, ys: Arrays, threads: int, lr: float = 0.1) -> None:
    """All that a program leaves with one thread against the NumPy interpreter in float64, and the same bits with up to
    so many; its parameters are afterwards as before."""
    start = {name: view.numpy() for name, view in program.parameters.items()}
    interpreter = Interpreter(
        program.network, {n: a.astype(np.float64) for n, a in start.items()}, program.seed, FIRST_STEP
    )
    alone = None
    for number in range(1, threads + 1):
        found = program.run(xs, ys, number, lr)
        for name, array in start.items():
            program.parameters[name] = array
        if alone is None:
            alone = found
            _assert_judged(program, found, interpreter, xs, ys, lr)
        else:
            assert found.bits() == alone.bits(), f"other bits with {number} threads"


def _assert_judged(
    program: Program, found: Results, interpreter: Interpreter, xs: Arrays, ys: Arrays, lr: float
) -> None:
    for_outputs, for_gradients = LIMITS[str(program.dtype)]
    assert_all_close(found.outputs, interpreter.predict(xs), for_outputs)
    assert_close(found.loss_sums[:, 0] / found.loss_sums[:, 1], losses_of(interpreter, xs, ys), for_outputs, "evaluate")
    batch = program.plan.batch
    first = rows(xs, slice(batch)), rows(ys, slice(batch))
    loss, gradients, _ = interpreter.loss_and_gradients(*first)
    assert_close(found.losses[:3, 0], np.full(3, loss), for_outputs, "loss")
    assert_all_close(found.gradients, gradients, for_gradients)
    interpreter.train_step(*first, lr)
    order = np.arange(len(next(iter(xs.values()))))[::-1]
    total = sum(
        len(part) * interpreter.train_step(rows(xs, part), rows(ys, part), lr)
        for part in (order[i : i + batch] for i in range(0, len(order), batch))
    )
    *sums, penalty = found.losses[3, : 2 * len(ys) + 1]
    mean = sum(numerator / labels for numerator, labels in zip(sums[::2], sums[1::2], strict=True))
    assert_close(len(order) * mean + penalty, total, for_gradients, "loss of the steps")
    assert_all_close(found.parameters, interpreter.parameters, for_gradients)


def rows(arrays: Mapping[str, np.ndarray], chosen: slice | np.ndarray) -> Arrays:
    return {name: array[chosen] for name, array in arrays.items()}


def losses_of(interpreter: Interpreter, xs: Arrays, ys: Arrays) -> np.ndarray:
    """The loss of every head in prediction mode."""
    values, _ = interpreter.run(xs, training=False)
    heads = [head for head in interpreter.network.answers if head.loss is not None]
    return np.array(
        [head.loss.reference(values[interpreter.loss_input(head).name], ys[head.name])[0] for head in heads]
    )
