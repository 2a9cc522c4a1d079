"""What several test files need: specs around a layer, data for a network, the interpreter, finite differences."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

import dslc
import dslc.layers
from dslc import cores, plan_cache, registry
from dslc.codegen.build import Library
from dslc.ir import Network
from dslc.layers import Example, Layer
from dslc.layers.lengths import Lengths
from dslc.losses.ctc import Ctc, needed_steps, steps_of
from dslc.operation import state_name
from dslc.plan import Plan
from dslc.proofs.reference import Interpreter
from dslc.runtime.model import Model
from dslc.runtime.native import compiled
from dslc.shape import Shape, show_shape
from dslc.target import TARGETS, Target, cpu_identity

REPO = Path(__file__).resolve().parent.parent
SPECS = sorted((REPO / "specs").glob("*.net"))
Arrays = dict[str, np.ndarray]

WIDE = Target("wide", 64, ("-march=x86-64-v3", "-Wno-psabi"), 32)
"""The vectors of AVX-512 computed by two of AVX2 each: tests them where there is no AVX-512."""
WIDTHS = (TARGETS["c99"], TARGETS["generic"], TARGETS["x86-64-v3"], WIDE)
"""A machine for each number of lanes: 1, 4, 8 and 16 in float32."""
NEEDS: dict[str, set[str]] = {
    "-march=native": set(),
    "-march=x86-64-v3": {"avx2", "fma", "bmi2", "f16c", "movbe"},
    "-march=x86-64-v4": {"avx512f", "avx512bw", "avx512vl"},
}


def all_threads_come(set_attribute: Callable[[object, str, object], None]) -> None:
    """From now on as many threads as are asked for take part in every call, also where cores are busy or fewer: their
    number is not capped, and calls wait for all workers."""
    process_pool = compiled._process_pool

    def patient_pool(library: Library) -> int:
        address = process_pool(library)
        if address:
            patience_and_backoff = (ctypes.c_int64 * 3).from_address(address)
            patience_and_backoff[1], patience_and_backoff[2] = 10_000_000_000, 0
        return address

    set_attribute(compiled, "_process_pool", patient_pool)
    set_attribute(cores, "available_cores", lambda: 8)


def runs(target: Target) -> bool:
    """This CPU can run what is compiled for the target."""
    machine, *has = cpu_identity().split()
    needed = [NEEDS.get(flag, {flag}) for flag in target.flags if flag.startswith("-march")]
    return target.of_this_machine and (not needed or (machine == "x86_64" and set().union(*needed) <= set(has)))


GROUPED = """net Grouped {
  input image: 9x9x6
  conv(6, 3x3, groups=3) -> relu
  flatten
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
}
"""
"""Groups of two channels, which fit the vectors of no target."""

POOLED = """net Pooled {
  input image: 13x21x17
  conv(33, 3x3, pad=same) -> relu -> maxpool(2x2)
  conv(20, 5x5, pad=same) -> maxpool(2x2)
  flatten
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.01)
}
"""
"""Windows of 2x2 pixels, the last row and column in none."""

LARGE = """net Large {
  input x: 37
  dense(403) -> relu
  dense(390) -> tanh
  dense(401)
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.01)
  regularize l2(0.01)
  batch 16
}
"""
"""Weights of more than a nearby cache holds."""

FILTERS = """net Filters {
  input image: 7x9x120
  conv(140, 3x3, pad=same) -> relu
  flatten
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.01)
}
"""
"""So many filters that threads share them on the way back."""

MIXED = """net Mixed {
  input a: 37
  input s: 5x13
  input c: 1
  output of_a = a -> dense(21) -> dense(3)
  output of_s = s -> dense(35, bias=off) -> dense(17)
  output of_c = c -> dense(1) -> dense(70)
}
train {
  loss of_a: mse
  loss of_s: mse
  loss of_c: mse
  optimizer sgd(lr=0.5)
  batch 11
  precision mixed
}
"""
"""Products in bf16 of sizes that fill no vector and no pair, among them sequences and a single number."""

NETWORKS = {"grouped": GROUPED, "pooled": POOLED, "large": LARGE, "filters": FILTERS}
"""What none of the shipped specs has."""

FORWARD = {"float64": 1e-12, "float32": 1e-5}
"""How far C may be from NumPy, relative to the largest number of an array."""


def example_spec(example: Example, batch: int = 5) -> str:
    """A network around a layer's example. Something learns before each input: gradients must get there; where nothing
    may stand before the layer, something learns behind it."""
    body = "\n  ".join(example_statements(example))
    return f"net Example {{\n  {body}\n}}\ntrain {{\n  loss mse\n  optimizer sgd(lr=0.1)\n  batch {batch}\n}}\n"


def example_statements(example: Example, suffix: str = "") -> list[str]:
    """The same as statements; the names of its values end in `suffix`."""
    lines, values = [], []
    name, _, arguments = example.text.partition("(")
    found = registry.find(dslc.layers, name, Layer)
    assert found is not None
    for i, shape in enumerate(example.inputs, 1):
        x, v = f"x{i}{suffix}", f"v{i}{suffix}"
        lines.append(f"input {x}: {show_shape(shape)}")
        if i > 1 and found.takes:
            of_one = [name for name in found.takes if name not in found.flows]
            argument = of_one[0] if shape == (1,) else found.flows[0]
            arguments = f"{argument}={x if shape == (1,) else v}{', ' + arguments if arguments else ')'}"
            lines += [f"{v} = {x} -> {same_size(shape)}"] * (shape != (1,))
            continue
        lines.append(f"{v} = {x} -> {same_size(shape)}")
        values.append(v)
    looks_up = found.whole_numbers is not Layer.whole_numbers and not found.takes
    if found.first or found.augments or looks_up:
        (shape,) = example.inputs
        x = f"x1{suffix}"
        behind = learning(shape, min(shape[-1], 9))
        lines, chain = [f"input {x}: {show_shape(shape)}"], f"{x} -> {example.text} -> {behind}"
    elif len(values) > 1:
        chain = f"{name}({', '.join(values)}{', ' + arguments if arguments else ')'}"
    else:
        chain = f"{values[0]} -> {name}{'(' if arguments else ''}{arguments}"
    return [*lines, f"output out{suffix} = {chain} -> linear"]


def same_size(shape: Shape) -> str:
    """A layer that learns and keeps the shape; without a bias, whose gradient a batchnorm would make zero."""
    return learning(shape, shape[-1])


def learning(shape: Shape, features: int) -> str:
    """A layer that learns and makes so many features of each of its rows or pixels."""
    return f"conv({features}, 1x1, bias=off)" if len(shape) == 3 else f"dense({features}, bias=off)"


def randomize_parameters(model: Model, rng: np.random.Generator) -> Model:
    """Fresh parameters off their round values: biases off 0, variances off 1."""
    for p in model.network.parameters:
        start = p.init.sample(rng, p.shape, p.fan_in, p.fan_out)
        model.parameters[p.name] = start + rng.uniform(-0.3, 0.3, p.shape)
    return model


def data(network: Network, n: int, rng: np.random.Generator, dtype: str = "float64") -> tuple[Arrays, Arrays]:
    """A random mini-batch that is exact in the precision: inputs by name, targets by head. Texts of which a layer
    counts the words end in padding, each elsewhere."""

    def exact(array: np.ndarray) -> np.ndarray:
        return array.astype(dtype).astype(np.float64)

    xs = {v.name: exact(rng.standard_normal((n, *v.shape))) for v in network.inputs}
    for value, (least, most) in network.whole_numbers.items():
        xs[value.name] = rng.integers(least, most + 1, (n, *value.shape)).astype(np.float64)
    for node in network.nodes:
        if isinstance(node.layer, Lengths) and node.layer.padding <= network.whole_numbers[node.inputs[0]][1]:
            for i, text in enumerate(xs[node.inputs[0].name]):
                text[len(text) - i % (len(text) + 1) :] = node.layer.padding
    ys = {}
    for head in network.heads:
        classes = head.loss is not None and head.loss.numbered
        shape = head.value.shape
        ys[head.name] = rng.integers(0, shape[0], n) if classes else exact(rng.random((n, *shape)))
        if head.loss is not None and head.loss.pixels:
            labels = rng.integers(0, shape[-1], (n, *shape[:-1])).astype(np.float64)
            ys[head.name] = np.where(labels == head.loss.ignore, np.nan, labels)
        if isinstance(head.loss, Ctc):
            lengths = xs.get(head.loss.lengths or "")
            ys[head.name] = label_rows(head.loss, shape, n, rng, None if lengths is None else lengths[:, 0])
        if head.loss is not None and head.loss.classes and not classes:
            ys[head.name] = exact(ys[head.name] / ys[head.name].sum(axis=1, keepdims=True))
    return xs, ys


def label_rows(
    loss: Ctc, shape: Shape, n: int, rng: np.random.Generator, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Rows of labels that can be aligned, some with repetitions, NaN behind the end."""
    rows = np.full((n, loss.labels), -1.0)
    others = [c for c in range(shape[-1]) if c != loss.blank]
    for i, row in enumerate(rows):
        steps = int(lengths[i]) if lengths is not None else steps_of(shape)
        labels = rng.choice(others, rng.integers(min(1, steps), min(loss.labels, steps) + 1))
        while needed_steps(labels) > steps:
            labels = labels[:-1]
        row[: len(labels)] = labels
    return np.where(rows < 0, np.nan, rows)


def interpreter(model: Model) -> Interpreter:
    """The NumPy interpreter in float64, standing where the model stands: its parameters, optimizer state and step."""
    values = {name: view.numpy().astype(np.float64) for name, view in model.parameters.items()}
    kept = model.network.training.optimizer.states if model.network.training else ()
    states = {
        p.name: {s: state_of(model, p.name, s).astype(np.float64) for s in kept}
        for p in model.network.parameters
        if p.learns
    }
    return Interpreter(model.network, values, model.seed, model.step, states)


def spoil_memory(model: Model, value: float = np.nan) -> None:
    """Fills all memory that no call leaves for the next with a value, not-a-number by default: activations, workspace,
    gradients."""
    model.compiled.arena.add_gradients()
    for name in ("activations", "gradients", "requested_gradients"):
        region = model.plan.region(name)
        model.compiled.arena.numbers[region.offset : region.offset + region.elements] = value
    model.compiled.changed()


def gaps(plan: Plan, steps: Sequence[str], size: int) -> list[tuple[int, int]]:
    """Where in an arena of so many numbers no tensor of these steps lies, nor one that lives as long as the network:
    from a place on, so many numbers."""
    planned = [step for step in map(plan.step, steps) if step is not None]
    buffers = (*plan.kept.values(), *(buffer for step in planned for buffer in step.workspace.values()))
    totals = [(b.offset, b.layout.total(plan.batch if b.tensor.batched else 1)) for b in buffers]
    found, reached = [], 0
    for begin, total in [*sorted(totals), (size, 0)]:
        if begin > reached:
            found.append((reached, begin - reached))
        reached = max(reached, begin + total)
    return found


@contextmanager
def plans_made_anew() -> Iterator[None]:
    """No plan of the cache is used or kept: their names know neither faults that are planted nor sizes that are
    patched."""
    with patch.object(plan_cache, "find", lambda _: None), patch.object(plan_cache, "keep", lambda *_: None):
        yield


@contextmanager
def watched(model: Model, *steps: str) -> Iterator[None]:
    """A call of these steps, before which all memory is not-a-number that no call leaves for the next: it may write to
    its own tensors alone. Beside them lie numbered signaling NaNs, which neither arithmetic nor copies leave as they
    are."""
    spoil_memory(model)
    numbers = model.compiled.arena.numbers
    bits = numbers.view(np.uint32 if model.dtype == np.float32 else np.uint64)
    first = 0x7F800001 if model.dtype == np.float32 else 0x7FF0000000000001
    places = np.concatenate([np.arange(at, at + count) for at, count in gaps(model.plan, steps, len(numbers))])
    spoiled = places[np.isnan(numbers[places])]
    bits[spoiled] = first + np.arange(len(spoiled), dtype=bits.dtype)
    before = bits[places]
    yield
    assert np.array_equal(bits[places], before), f"{steps[0]} has written beside its tensors"


def state_of(model: Model, parameter: str, state: str) -> np.ndarray:
    """What the optimizer keeps for a parameter."""
    return model.compiled.view(parameter, state_name(parameter, state)).numpy()


def outputs(model: Model, xs: Arrays) -> Arrays:
    """What the model predicts, by head."""
    found = model.predict(xs)
    return found if isinstance(found, dict) else {model.network.heads[0].name: found}


def assert_close(actual: np.ndarray, wanted: np.ndarray, tolerance: float, what: str) -> None:
    """Within the tolerance, relative to the largest wanted number: where all wanted are zero, all must be."""
    actual, wanted = np.asarray(actual, np.float64), np.asarray(wanted, np.float64)
    assert actual.shape == wanted.shape, what
    worst, scale = np.abs(actual - wanted).max(), np.abs(wanted).max()
    assert worst <= tolerance * scale, f"{what}: differs by {worst:.3g} where numbers are as large as {scale:.3g}"


def assert_all_close(actual: Arrays, wanted: Arrays, tolerance: float) -> None:
    """The same for arrays by name."""
    assert actual.keys() == wanted.keys()
    for name in wanted:
        assert_close(actual[name], wanted[name], tolerance, name)


def assert_agrees(model: Model, n: int, rng: np.random.Generator) -> None:
    """Prediction, loss, gradients and one step of the model against the interpreter, on n random examples. No call may
    read what the one before has left in memory, nor read or write beyond its own tensors."""
    dtype = str(model.dtype)
    tolerance = FORWARD[dtype]
    xs, ys = data(model.network, n, rng, dtype)
    reference = interpreter(model)
    with watched(model, "predict"):
        predicted = outputs(model, xs)
    assert_all_close(predicted, reference.predict(xs), tolerance)
    loss, gradients, _ = reference.loss_and_gradients(xs, ys)
    with watched(model, "train", "gradients"):
        found = model.loss(xs, ys)
    assert_close(found, loss, tolerance, "loss")
    with watched(model, "train", "gradients"):
        slopes = model.gradients(xs, ys)
    assert_all_close(slopes, gradients, tolerance)
    with watched(model, "train"):
        model.train_step(xs, ys)
    reference.train_step(xs, ys, model.learning_rate(0))
    assert_all_close(model.copy_weights(), reference.parameters, tolerance)


def assert_differentiates(
    model: Model, xs: Arrays, ys: Arrays, rng: np.random.Generator, smooth: bool = True, entries: int = 20
) -> None:
    """The gradients of C against central differences of its loss. Entries whose differences with two step sizes
    disagree lie at a kink and are left out, where kinks are allowed."""
    assert model.dtype == np.float64
    for name, gradient in model.gradients(xs, ys).items():
        scale = np.abs(gradient).max()
        assert scale > 1e-9, f"the gradient of {name} is zero everywhere"
        chosen = rng.permutation(gradient.size)[:entries]
        kept = 0
        for i in chosen:
            near, far = (central_difference(model, name, i, xs, ys, h) for h in (1e-5, 4e-5))
            if not smooth and abs(near - far) > 1e-5 * scale:
                continue
            kept += 1
            error = abs(near - gradient.flat[i])
            assert error <= 1e-6 * scale, f"{name}[{i}]: {gradient.flat[i]} should be {near}"
        assert kept > len(chosen) / 2, f"too few entries of {name} are left: {kept} of {len(chosen)}"


def central_difference(model: Model, name: str, i: int, xs: Arrays, ys: Arrays, h: float) -> float:
    """The slope of the loss along one entry of a parameter."""
    before = model.parameters[name].numpy()
    losses = []
    for moved in (before.flat[i] + h, before.flat[i] - h):
        array = before.copy()
        array.flat[i] = moved
        model.parameters[name] = array
        losses.append(model.loss(xs, ys))
    model.parameters[name] = before
    return (losses[0] - losses[1]) / (2 * h)


def load(text: str, rng: np.random.Generator, dtype: str = "float64", threads: int = 1) -> Model:
    """A model of a text with shaken parameters."""
    return randomize_parameters(dslc.loads(text, dtype=dtype, threads=threads), rng)
