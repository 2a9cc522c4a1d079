"""Every algorithm that a plan can choose, on sizes that fill no vector, for every vector width, against the
interpreter.

Layers lie side by side in one net, each once for every algorithm and with a head of its own. The image that a layer
reads is often a row of the weights of a dense layer under one-hot inputs: its gradient is then dX of one example, to
the last pixel, and not a sum in which an error could hide.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from dslc import kernels
from dslc.compiler import check_file, check_text
from dslc.ir import Network
from dslc.kernels import Setting
from dslc.lowering.lower import lower
from dslc.plan import Plan
from dslc.planning.planner import ITEMSIZE, Options
from dslc.planning.slicing import division
from dslc.runtime.model import Model
from dslc.target import Target
from helpers import (
    SPECS,
    WIDTHS,
    Arrays,
    assert_all_close,
    assert_close,
    data,
    interpreter,
    outputs,
    runs,
    watched,
)

LIMITS = {"float32": (1e-5, 1e-4), "float64": (1e-12, 1e-12)}

CHANNELS = (1, 3, 17, 33)
MAPS = ((5, 7), (13, 13), (31, 9))
WINDOWS = (
    "3x3, pad=same", "3x3", "5x5, pad=same", "5x5, pad=3", "1x1", "3x3, stride=2, pad=same", "4x2, stride=3x1",
    "2x3, dilation=2", "3x5, pad=4", "3x3, pad=same, groups={channels}", "2x2, pad=1, stride=2, groups={channels}",
)  # fmt: skip
GROUPED = (
    ("conv(32, 3x3, pad=same, groups=2)", "13x13x32"),
    ("conv(48, 3x3, groups=3, bias=off)", "5x7x48"),
    ("conv(96, 2x2, stride=2, groups=2)", "13x13x32"),
    ("conv(32, 3x2, dilation=2, groups=2)", "5x7x96"),
    ("conv(33, 3x3, stride=2, pad=1, groups=33)", "5x7x33"),
)
SIZES = (1, 3, 17, 33, 303, 700)
BATCHES = {1: (1,), 3: (3, 1), 64: (64, 5)}
"""Capacities, and the numbers of examples that are tried with each."""


@dataclass(frozen=True)
class Machine:
    """What a net is compiled for."""

    target: Target
    batch: int
    dtype: str

    @property
    def threads(self) -> int:
        return 2 if self.batch == 64 else 1

    def __str__(self) -> str:
        return f"{self.target.name} {self.batch} {self.dtype}"


MACHINES = [
    Machine(target, batch, ("float32", "float64")[(i + k) % 2])
    for (i, target), (k, batch) in product(enumerate(WIDTHS), enumerate(BATCHES))
]


@dataclass(frozen=True)
class Case:
    """A layer in a net: where its input comes from, and what follows."""

    layer: str
    shape: str
    machine: Machine
    source: str
    after: str

    def lines(self, number: int, copies: int) -> list[str]:
        """The statements of as many copies, which read the same."""
        x, end = f"x{number}", self.after and f" -> {self.after}"
        size = np.prod([int(k) for k in self.shape.split("x")])
        image = f" -> reshape({self.shape})" if "x" in self.shape else ""
        made = f"{x} = h -> dense({size}, bias=off, name=image{number}){image}"
        lines = [f"input {x}: {self.shape}" if self.source == "input" else made]
        for copy in range(copies):
            between = " -> tanh" if self.source == "tanh" else ""
            layer = self.layer.replace(")", f", name={name_of(number, copy)})")
            lines.append(f"output y{number}_{copy} = {x}{between} -> {layer}{end}")
        return lines


def name_of(number: int, copy: int) -> str:
    return f"layer{number}_{copy}"


# ------------------------------------------------------------------------------------------------ which cases


def rows_of(factors: Mapping[str, Sequence[Any]], seed: int = 1) -> list[dict[str, Any]]:
    """Rows in which any two values of two factors meet: of some random ones always that with most new pairs."""
    choose = random.Random(seed)
    missing = {frozenset((a, b)) for a, b in combinations(_values(factors), 2) if a[0] != b[0]}
    rows = []
    while missing:
        offered = [{name: choose.choice(values) for name, values in factors.items()} for _ in range(200)]
        best = max(offered, key=lambda row: len(_pairs(row) & missing))
        missing -= _pairs(best)
        rows.append(best)
    return rows


def _values(factors: Mapping[str, Sequence[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in factors.items() for value in values]


def _pairs(row: Mapping[str, Any]) -> set[frozenset[Any]]:
    return {frozenset(pair) for pair in combinations(row.items(), 2)}


COMMON = {
    "target": WIDTHS, "batch": tuple(BATCHES), "source": ("input", "image", "tanh"), "after": ("", "tanh"),
}  # fmt: skip


def conv_cases() -> Iterable[Case]:
    factors = {
        **COMMON,
        "channels": CHANNELS,
        "filters": CHANNELS,
        "map": MAPS,
        "window": WINDOWS,
        "bias": ("", ", bias=off"),
    }
    for row in rows_of(factors):
        groups = "groups" in row["window"]
        filters = row["channels"] * 2 if groups else row["filters"]
        window = row["window"].format(channels=row["channels"])
        shape = "x".join(str(n) for n in (*row["map"], row["channels"]))
        yield _case(f"conv({filters}, {window}{row['bias']})", shape, row)


def grouped_cases() -> Iterable[Case]:
    """Groups that are whole vectors for one width and not for another, and those of one channel."""
    for row in rows_of({**COMMON, "conv": GROUPED}):
        yield _case(*row["conv"], row)


def dense_cases() -> Iterable[Case]:
    for row in rows_of({**COMMON, "inputs": SIZES, "units": SIZES, "bias": ("", ", bias=off")}):
        yield _case(f"dense({row['units']}{row['bias']})", str(row["inputs"]), row)


def _case(layer: str, shape: str, row: Mapping[str, Any]) -> Case:
    machine = next(m for m in MACHINES if (m.target, m.batch) == (row["target"], row["batch"]))
    return Case(layer, shape, machine, row["source"], row["after"])


@cache
def cases_for(machine: Machine) -> tuple[Case, ...]:
    return tuple(c for c in (*conv_cases(), *grouped_cases(), *dense_cases()) if c.machine == machine)


# ------------------------------------------------------------------------------------------------ their net


def text_of(cases: Sequence[Case], copies: Sequence[int]) -> str:
    """A net of all cases; the layers of `h` make images."""
    lines = [line for number, case in enumerate(cases) for line in case.lines(number, copies[number])]
    machine = cases[0].machine
    body = "\n  ".join([f"input h: {machine.batch}", *sorted(lines, key=lambda line: not line.startswith("input"))])
    losses = "\n  ".join(f"loss y{i}_{k}: mse" for i in range(len(cases)) for k in range(copies[i]))
    return (
        f"net Kernels {{\n  {body}\n}}\ntrain {{\n  {losses}\n  optimizer sgd(lr=0.5)\n  batch {machine.batch}\n"
        f"  precision {machine.dtype}\n}}\n"
    )


def choices(network: Network, target: Target, threads: int = 1) -> dict[tuple[str, str], tuple[str, ...]]:
    """The algorithms of every operation that has any, by kind and name."""
    divided = division(network)
    graph = lower(network, divided.sliced)
    itemsize = ITEMSIZE[network.dtype]
    setting = Setting({}, divided.slice, itemsize, target.lanes(itemsize), target.tile_rows, threads)
    found = {}
    for op in (op for step in graph.steps for op in step.operations):
        if names := kernels.algorithms(op, setting):
            found[op.kind, op.name] = tuple(names)
    return found


def options_for(cases: Sequence[Case]) -> tuple[list[int], Options]:
    """How many copies of each case show all its algorithms, and which copy runs what."""
    machine = cases[0].machine
    found = choices(check_text(text_of(cases, [1] * len(cases))), machine.target, machine.threads)
    copies, wanted = [], []
    for number in range(len(cases)):
        first = f"{name_of(number, 0)}_"
        own = {name.removeprefix(first): some for (_, name), some in found.items() if name.startswith(first)}
        copies.append(max(map(len, own.values()), default=1))
        for (job, some), copy in product(own.items(), range(copies[-1])):
            wanted.append((f"{name_of(number, copy)}_{job}", some[copy % len(some)]))
    return copies, Options(("groups",), tuple(wanted))


def assert_chosen(plan: Plan, options: Options) -> None:
    """In every step that has the operation, what runs is what was asked for."""
    for name, choice in options.algorithms:
        for step in plan.steps:
            ran = {k.variant.name for k in step.kernels if k.operation.name.startswith(name)}
            assert not ran or choice in ran, f"{step.name}: {name} ran {ran}, not {choice}"
        assert any(k.operation.name.startswith(name) for step in plan.steps for k in step.kernels), name


@pytest.mark.parametrize("machine", MACHINES, ids=str)
def test_algorithms(machine: Machine, rng: np.random.Generator, request: pytest.FixtureRequest) -> None:
    """Predictions, the loss, all gradients and a step of every layer by every algorithm.

    All memory that a call does not have to keep is not-a-number before it: what a kernel does not write it cannot read.
    In float32 tensors lie apart, and what lies between them must stay as it is.
    """
    if not runs(machine.target):
        pytest.skip("not on this CPU")
    if machine.dtype == "float32":
        request.getfixturevalue("fences")
    cases = cases_for(machine)
    copies, options = options_for(cases)
    model = Model(check_text(text_of(cases, copies)), machine.threads, options, machine.target)
    assert_chosen(model.plan, options)
    fill(model, rng)
    for n in BATCHES[machine.batch]:
        xs, ys = data(model.network, n, rng, machine.dtype)
        xs["h"] = np.eye(machine.batch)[:n]
        compare(model, xs, ys)


def fill(model: Model, rng: np.random.Generator) -> None:
    """Images and sums of about 1, where tanh is no constant: an error is to be seen beside its result."""
    for p in model.network.parameters:
        scale = 1 if p.name.startswith("image") else 0.3 if len(p.shape) == 1 else 0.3 * p.fan_in**-0.5
        model.parameters[p.name] = rng.standard_normal(p.shape) * scale


def compare(model: Model, xs: Arrays, ys: Arrays) -> None:
    """The model against the interpreter, from poisoned memory on."""
    for_outputs, for_gradients = LIMITS[str(model.dtype)]
    reference = interpreter(model)
    with watched(model, "predict"):
        predicted = outputs(model, xs)
    assert_all_close(predicted, reference.predict(xs), for_outputs)
    loss, gradients, _ = reference.loss_and_gradients(xs, ys)
    with watched(model, "train", "gradients"):
        found_loss = model.loss(xs, ys)
    assert_close(found_loss, loss, for_outputs, "loss")
    with watched(model, "train", "gradients"):
        found = model.gradients(xs, ys)
    assert all(gradient.any() for gradient in gradients.values())
    assert_all_close(found, gradients, for_gradients)
    with watched(model, "train"):
        model.train_step(xs, ys)
    reference.train_step(xs, ys, model.learning_rate(0))
    assert_all_close(model.copy_weights(), reference.parameters, for_outputs)


@pytest.mark.slow
def test_every_algorithm_of_the_specs_is_tried() -> None:
    """An algorithm that only large layers have would need a case of its own."""
    tried = set()
    for machine in MACHINES:
        cases = cases_for(machine)
        found = choices(check_text(text_of(cases, [1] * len(cases))), machine.target, machine.threads)
        tried |= {(kind, choice) for (kind, _), some in found.items() for choice in some}
    for spec, target in product(SPECS, WIDTHS):
        for (kind, _), some in choices(check_file(spec), target).items():
            assert {(kind, choice) for choice in some} <= tried, spec
