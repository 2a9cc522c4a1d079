"""The emitted C on every target in programs of its own: four vector widths, another CPU, and watched by sanitizers.

`-m neon` needs aarch64-linux-gnu-gcc and qemu-aarch64, `-m sanitizers` a gcc with its sanitizers. What is not installed
is skipped, unless DSLC_REQUIRE_TARGETS is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc.layers
import dslc.losses
from dslc import registry
from dslc.compiler import check_file, check_text, plan_network
from dslc.ir import Network
from dslc.layers import Layer
from dslc.losses import Loss
from dslc.planning.planner import DEFAULT, Options
from dslc.target import TARGETS, Target, native
from helpers import MIXED, NETWORKS, REPO, data, example_statements, randomize_parameters, runs
from standalone import Program, Toolchain, assert_program_agrees
from test_kernels import BATCHES, MACHINES, cases_for, fill, options_for, text_of

GENERIC, V3, V4 = (Toolchain(name, TARGETS[name]) for name in ("generic", "x86-64-v3", "x86-64-v4"))
NEON = Toolchain(
    "aarch64",
    TARGETS["aarch64"],
    "aarch64-linux-gnu-gcc",
    ("-O1", "-static"),
    ("qemu-aarch64",),
)
WATCH = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WATCHED = tuple(Toolchain(f"{t.name} watched", t, flags=WATCH) for t in (native(), TARGETS["c99"]))
RACES = Toolchain("native threads watched", native(), flags=("-O1", "-g1", "-fsanitize=thread"))

LAYERS = registry.every(dslc.layers, Layer)
LOSSES = registry.every(dslc.losses, Loss)


# ------------------------------------------------------------------------------------------------ networks


@dataclass(frozen=True)
class Net:
    """A network for a target, and what fills its parameters."""

    text: str
    options: Options = DEFAULT
    fill: Callable[..., object] = randomize_parameters


PARTS = 6
"""So many networks share all layers."""
QUOTIENTS = {"quotient": ("5", "5"), "by_pixel": ("2x3x4", "2x3x1"), "by_channel": ("3x2x3", "3")}
"""Sizes of dividends and divisors."""
ARGUMENTS = {"formula": "((y - t)^2 * 0.5)", "ctc": "(3)"}
"""Of the losses that need some."""


def some_layers(part: int) -> str:
    """Every example of every sixth layer, each with inputs and a head of its own. Division is by numbers that are not
    near zero, where rounding is all that there is."""
    layers = [LAYERS[name] for name in list(LAYERS)[part::PARTS] if name != "divide"]
    examples = [example for layer in layers for example in layer.examples]
    lines = [line for i, example in enumerate(examples) for line in example_statements(example, f"_{i}")]
    quotients = QUOTIENTS if list(LAYERS).index("divide") % PARTS == part else {}
    for name, (shape, divisor) in quotients.items():
        lines += [f"input {name}_x: {shape}", f"input {name}_y: {divisor}", f"{name}_d = {name}_y -> sigmoid"]
        lines += [f"output {name} = {name}_x -> divide({name}_d)"]
    losses = [f"loss {name}: mse" for name in (*(f"out_{i}" for i in range(len(examples))), *quotients)]
    return network_text(lines, [*losses, "optimizer sgd(0.1, momentum=0.9, nesterov=on)", "batch 16"])


def all_losses(precision: str) -> str:
    """Every loss on a few and on many outputs. Adam in float64 only: its first steps go by the signs of gradients, and
    float32 does not know those of the smallest."""
    lines, losses = ["input x: 37", "h = x -> dense(40) -> tanh -> dropout(0.3)"], []
    for (name, loss), size in ((item, size) for item in LOSSES.items() for size in (3, 70)):
        steps = f"dense({7 * size}) -> reshape(7x{size})" if loss.sequences else f"dense({size})"
        lines.append(f"output {name}_{size} = h -> {steps} -> {loss.through or 'linear'}")
        losses.append(f"loss {name}_{size}: {name}{ARGUMENTS.get(name, '')}")
    optimizer = "adam(0.01)" if precision == "float64" else "sgd(0.1)"
    train = [
        *losses,
        f"optimizer {optimizer}",
        "regularize l2(0.1)",
        "clip norm(1)",
        "batch 19",
        f"precision {precision}",
    ]
    return network_text(lines, train)


def network_text(lines: list[str], train: list[str]) -> str:
    lines = sorted(lines, key=lambda line: not line.startswith("input"))
    return "net Outside {\n  " + "\n  ".join(lines) + "\n}\ntrain {\n  " + "\n  ".join(train) + "\n}\n"


def all_algorithms(target: Target, batch: int) -> Net:
    """The net of test_kernels for a machine with as many lanes: every algorithm on sizes that fill no vector. In place
    of its largest mini-batch stands one that leaves lanes empty."""
    lanes = target.lanes(4)
    machine = next(m for m in MACHINES if (m.target.lanes(4), m.batch) == (lanes, batch))
    here = replace(machine, target=target, batch=min(batch, 21))
    cases = [replace(case, machine=here) for case in cases_for(machine)]
    copies, options = options_for(cases)
    return Net(text_of(cases, copies), options, fill)


TABLES = network_text(
    [
        "input row: table { a: number, b: category(x, y, z) embedding=5, c: category(x) missing=own embedding=17 }",
        "input other: table { a: category(x, y) embedding=1 }",
        "output one = row -> dense(3)",
        "output two = concat(row, other)",
    ],
    ["loss one: mse", "loss two: mse", "optimizer lars(0.1, trust=0.5)", "batch 7"],
)
"""Embeddings of columns, also where they are an output; and an optimizer with norms."""


NETS: dict[str, Callable[[Target], Net]] = {
    "losses": lambda target: Net(all_losses("float32")),
    "losses float64": lambda target: Net(all_losses("float64")),
    "tables": lambda target: Net(TABLES),
    "mixed": lambda target: Net(MIXED),
    **{f"layers{part}": lambda target, part=part: Net(some_layers(part)) for part in range(PARTS)},
    **{f"algorithms {b}": lambda target, b=b: all_algorithms(target, b) for b in BATCHES},
}


# ------------------------------------------------------------------------------------------------ tests


def require(tools: Toolchain, folder: Path) -> None:
    """Skips the test where a target cannot run; fails it where all must, but for what this CPU cannot do."""
    if tools.target.name != "native" and not tools.emulator and not runs(tools.target):
        pytest.skip(f"this CPU does not run {tools.target.name}")
    if missing := tools.missing(folder):
        reason = f"not installed: {missing}"
        pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)


def assert_agrees(tools: Toolchain, network: Network, net: Net, folder: Path, rng: np.random.Generator) -> None:
    """On more examples than a mini-batch has, and with three threads on fewer."""
    program = Program(plan_network(network, tools.target, threads=3, options=net.options), tools, folder)
    net.fill(program, rng)
    batch = program.plan.batch
    for n in (batch + max(1, batch // 4), -(-batch // 2)):
        xs, ys = data(program.network, n, rng, str(program.dtype))
        if "h" in xs:  # the inputs of algorithms: which image
            xs["h"] = np.eye(batch)[np.arange(n) % batch]
        assert_program_agrees(program, xs, ys, threads=1 if n > batch else 3)


def cases(tools: tuple[Toolchain, ...], nets: tuple[str, ...]) -> list[Any]:
    return [pytest.param(t, name, id=f"{t.name} {name}") for t in tools for name in nets]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tools", "name"),
    [
        *cases((GENERIC, V3, V4), (*(f"layers{part}" for part in range(PARTS)), "losses", "tables")),
        *cases((V4,), ("algorithms 1", "algorithms 3", "algorithms 64")),
    ],
)
@pytest.mark.usefixtures("fences")
def test_vector_widths(tools: Toolchain, name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """What test_kernels does not try for each: there are all algorithms, for 1, 4, 8 and 16 numbers."""
    require(tools, tmp_path)
    net = NETS[name](tools.target)
    assert_agrees(tools, check_text(net.text), net, tmp_path, rng)


@pytest.mark.slow
@pytest.mark.neon
@pytest.mark.parametrize("name", NETS)
@pytest.mark.usefixtures("fences")
def test_neon(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    require(NEON, tmp_path)
    net = NETS[name](NEON.target)
    assert_agrees(NEON, check_text(net.text), net, tmp_path, rng)


WATCHED_NETS = [case for case in cases(WATCHED, tuple(NETS)) if case.id != "c99 watched algorithms 64"]
"""The one left out is a long wait and has nothing of its own: plain C has no lanes to leave empty."""


@pytest.mark.slow
@pytest.mark.sanitizers
@pytest.mark.parametrize(("tools", "name"), WATCHED_NETS)
@pytest.mark.usefixtures("fences")
def test_sanitizers(tools: Toolchain, name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Nothing is touched but a kernel's own tensors, and nothing is done that C leaves undefined."""
    require(tools, tmp_path)
    net = NETS[name](tools.target)
    assert_agrees(tools, check_text(net.text), net, tmp_path, rng)


@pytest.mark.sanitizers
@pytest.mark.parametrize("tools", WATCHED, ids=lambda tools: tools.name)
@pytest.mark.parametrize(("spec", "precision"), [("margin", "float32"), ("multitask", "float64")])
def test_sanitizers_in_the_memory_that_check_reports(
    spec: str, precision: str, tools: Toolchain, tmp_path: Path, rng: np.random.Generator
) -> None:
    """As users have it: tensors share memory, and of that there is not a byte more."""
    require(tools, tmp_path)
    network = check_file(REPO / "specs" / f"{spec}.net", dtype=precision)
    assert_agrees(tools, network, Net(""), tmp_path, rng)


@pytest.mark.slow
@pytest.mark.sanitizers
@pytest.mark.parametrize("name", ["lenet5", "residual", "mlp_batchnorm", *NETWORKS])
def test_threads_do_not_race(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """Every two threads that touch the same memory, of which one writes, are kept in order by a barrier: three threads,
    in the memory that users have, watched by the thread sanitizer."""
    require(RACES, tmp_path)
    text = NETWORKS.get(name) or (REPO / "specs" / f"{name}.net").read_text()
    network = check_text(text, dtype="float32")
    program = Program(plan_network(network, RACES.target, threads=3), RACES, tmp_path)
    xs, ys = data(network, program.plan.batch // 2 + 5, rng, "float32")
    assert_program_agrees(program, xs, ys, threads=3)


@pytest.mark.parametrize("tools", [GENERIC, pytest.param(NEON, marks=pytest.mark.neon)], ids=lambda tools: tools.name)
def test_the_smallest_numbers_count_as_zero(tools: Toolchain, tmp_path: Path, rng: np.random.Generator) -> None:
    """They would slow the arithmetic; the program sees to it that they count again after the calls."""
    require(tools, tmp_path)
    text = network_text(["input x: 4", "dense(3, bias=off) -> linear"], ["loss mse", "optimizer sgd(0.1)", "batch 2"])
    program = Program(plan_network(check_text(text), tools.target, options=DEFAULT), tools, tmp_path)
    xs, ys = {"x": np.full((2, 4), 1e-10)}, {"output": np.zeros((2, 3))}
    for size, zero in ((1e-30, True), (1e-20, False)):
        program.parameters["dense1.weight"] = np.full((3, 4), size)
        assert (program.run(xs, ys).outputs["output"] == 0).all() == zero
