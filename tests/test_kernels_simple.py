"""Kernels that are no matrix products: odd sizes, long sums, many threads."""

from __future__ import annotations

import ctypes
import math
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import dslc
from dslc.codegen.build import FLAGS, find_compiler
from dslc.compiler import check_text, emit_network
from dslc.runtime.model import Model
from dslc.target import TARGETS, Target, native
from helpers import assert_agrees, assert_all_close, assert_close, data, interpreter, load, randomize_parameters

pytestmark = pytest.mark.usefixtures("fences_in_float32")
TRAIN = "train {{\n  loss mse\n  optimizer sgd(lr=0.1)\n  batch {batch}\n}}\n"


def net(*lines: str, batch: int = 8) -> str:
    """A network of these lines that learns."""
    return "net Simple {\n  " + "\n  ".join(lines) + "\n}\n" + TRAIN.format(batch=batch)


def assert_same_bits(text: str, rng: np.random.Generator, sizes: tuple[int, ...]) -> None:
    """Losses, parameters and predictions after steps on mini-batches of these sizes, with 1, 2, 3 and 5 threads."""
    models = {threads: dslc.loads(text, threads=threads) for threads in (1, 2, 3, 5)}
    batches = [data(models[1].network, n, rng, "float32") for n in sizes]
    results = []
    for model in models.values():
        losses = [model.train_step(*batch) for batch in batches]
        weights = {p: w.tobytes() for p, w in model.copy_weights().items()}
        results.append((losses, weights, model.predict(batches[0][0]).tobytes()))
    assert np.isfinite(results[0][0]).all()
    assert all(result == results[0] for result in results)


# -------------------------------------------------------------------------------- sums over pixels, batchnorm


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("channels", [1, 6, 17, 32, 64, 100])
def test_batchnorm_of_any_number_of_channels(channels: int, dtype: str, rng: np.random.Generator) -> None:
    """Chunks with whole rows, with a part of one, and without a pixel."""
    text = net(
        "input x: 9x7x2",
        f"conv({channels}, 3x3, pad=same, bias=off) -> batchnorm -> tanh -> conv({channels}, 1x1) -> relu",
    )
    model = load(text, rng, dtype)
    for n in (8, 3, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("channels", [3, 32])
def test_sums_over_many_pixels(channels: int, rng: np.random.Generator) -> None:
    """Several blocks a chunk."""
    text = net(f"input x: 50x40x{channels}", f"batchnorm -> relu -> conv({channels}, 1x1) -> tanh", batch=24)
    assert_agrees(load(text, rng, "float32"), 24, rng)


def test_batchnorm_far_from_zero(rng: np.random.Generator) -> None:
    """A mean a thousand times the deviation costs the variance nothing."""
    model = dslc.loads(net("input x: 30x30x5", "batchnorm(momentum=0) -> conv(1, 1x1)"), dtype="float32")
    xs, ys = data(model.network, 8, rng, "float32")
    xs["x"] = (xs["x"] + 1000).astype(np.float32).astype(np.float64)
    model.train_step(xs, ys)
    assert_close(model.parameters["batchnorm1.mean"].numpy(), xs["x"].mean(axis=(0, 1, 2)), 1e-6, "mean")
    assert_close(model.parameters["batchnorm1.var"].numpy(), xs["x"].var(axis=(0, 1, 2)), 1e-5, "variance")


@pytest.mark.usefixtures("fences")
def test_very_many_channels(rng: np.random.Generator) -> None:
    """Of which threads share the channels, and no factors are laid out in rows."""
    text = net(
        "input x: 4x3x2",
        "conv(4100, 2x2, bias=off) -> batchnorm -> tanh -> scale -> prelu -> global_avgpool -> dense(3)",
        batch=3,
    )
    assert_agrees(load(text, rng, "float32"), 3, rng)


def test_sums_over_pixels_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = net("input x: 30x30x3", "conv(6, 3x3) -> batchnorm -> relu -> conv(16, 3x3, stride=2) -> tanh")
    assert_same_bits(text, rng, (8, 5, 1, 8))


# -------------------------------------------------------------------------------- pooling

WINDOWS = [
    ("12x10", "2x2"),
    ("13x11", "2x2"),
    ("13x13", "3x3, stride=2"),
    ("12x11", "3x3, stride=2, pad=1"),
    ("11x14", "2x3, stride=3x4"),
    ("9x9", "2x2, pad=1"),
    ("10x10", "5x5"),
    ("11x10", "5x5, stride=5x6, pad=1x0"),
    ("7x9", "4x5, stride=1x2"),
    ("6x6", "6x6"),
    ("5x5", "3x3, stride=4"),
    ("2x9", "2x2, stride=2x3"),
]


@pytest.mark.parametrize(("image", "window"), WINDOWS, ids=lambda text: text.replace(" ", ""))
def test_windows_of_every_kind(image: str, window: str, rng: np.random.Generator) -> None:
    """Windows apart, touching, overlapping, over the edge, leaving pixels out; formulas after them and before them."""
    depths = {
        "a": (1, "max"),
        "b": (6, "avg"),
        "c": (64, "max"),
        "d": (64, "avg"),
        "e": (130, "max"),
        "f": (130, "avg"),
    }
    branches = [
        f"{name} = x -> conv({depth}, 1x1) -> relu -> {kind}pool({window}) -> tanh"
        for name, (depth, kind) in depths.items()
    ]
    text = net(f"input x: {image}x2", *branches, "output y = concat(a, b, c, d, e, f) -> conv(2, 1x1)", batch=3)
    model = load(text, rng)
    for n in (3, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("depth", [3, 64, 130])
@pytest.mark.parametrize("kind", ["global_maxpool", "global_avgpool"])
def test_the_whole_image_as_a_window(kind: str, depth: int, dtype: str, rng: np.random.Generator) -> None:
    text = net("input x: 9x8x2", f"conv({depth}, 3x3) -> tanh -> {kind} -> sigmoid -> dense(3)")
    model = load(text, rng, dtype)
    for n in (8, 3):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("window", ["2x2", "3x3, stride=2", "3x3, stride=2, pad=1", "2x2, stride=3"])
def test_the_first_of_equal_pixels_wins(window: str, rng: np.random.Generator) -> None:
    """Small whole numbers tie often."""
    model = dslc.loads(net("input x: 9x9x16", f"conv(16, 1x1, bias=off) -> maxpool({window}) -> conv(1, 1x1)"))
    identity = np.eye(16)[None, None]
    model.parameters["conv1.weight"] = identity
    xs, ys = data(model.network, 8, rng, "float32")
    xs["x"] = rng.integers(-1, 2, xs["x"].shape).astype(np.float64)
    loss, gradients, _ = interpreter(model).loss_and_gradients(xs, ys)
    assert_all_close(model.gradients(xs, ys), gradients, 1e-5)
    assert_close(model.loss(xs, ys), loss, 1e-5, "loss")


def test_pooling_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = net(
        "input x: 37x36x3",
        "conv(32, 3x3) -> relu -> maxpool(3x3, stride=2) -> conv(96, 1x1) -> maxpool(2x2) -> tanh",
        "-> avgpool(3x3, stride=2, pad=1) -> conv(256, 1x1) -> global_avgpool -> dense(3)",
    )
    assert_same_bits(text, rng, (8, 5, 1, 8))


# -------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("classes", [2, 7, 16, 33, 130, 300])
def test_cross_entropy_of_any_number_of_classes(
    classes: int, smoothing: float, dtype: str, rng: np.random.Generator
) -> None:
    text = net("input x: 5", f"dense({classes}) -> softmax", batch=19).replace(
        "mse", f"cross_entropy(label_smoothing={smoothing})"
    )
    model = load(text, rng, dtype)
    for n in (19, 8, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("classes", [10, 200])
def test_cross_entropy_far_from_zero(classes: int, rng: np.random.Generator) -> None:
    """No overflow, and a loss that is not finite where a logit is not."""
    model = dslc.loads(net("input x: 5", f"dense({classes}) -> softmax").replace("mse", "cross_entropy"))
    xs, ys = data(model.network, 8, rng, "float32")
    for size in (1e3, 1e5):
        model.parameters["dense1.weight"] = size * rng.standard_normal((classes, 5))
        assert_close(model.loss(xs, ys), interpreter(model).loss_and_gradients(xs, ys)[0], 1e-5, "loss")
    for bad in (np.inf, np.nan):
        model.parameters["dense1.bias"] = np.where(np.arange(classes) == 5, bad, 0.0)
        assert not np.isfinite(model.loss(xs, ys))


@pytest.mark.parametrize(
    ("elements", "dtype"), [*((e, "float64") for e in (1, 3, 40, 200)), (3, "float32"), (70, "float32")]
)
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_losses_of_any_number_of_elements(loss: str, elements: int, dtype: str, rng: np.random.Generator) -> None:
    chain = f"dense({elements}){' -> sigmoid' if loss != 'mse' else ''}"
    model = load(net("input x: 5", chain, batch=70).replace("mse", loss), rng, dtype)
    for n in (70, 5, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("classes", [7, 40, 150])
def test_softmax_in_the_middle(classes: int, dtype: str, rng: np.random.Generator) -> None:
    """Of a vector, and of the pixels of an image."""
    text = net(
        "input x: 5",
        "input image: 3x4x2",
        f"output y = x -> dense({classes}) -> softmax -> dense(3)",
        f"output map = image -> conv({classes}, 1x1) -> softmax -> conv(1, 1x1)",
    )
    model = load(text.replace("loss mse", "loss y: mse\n  loss map: mse"), rng, dtype)
    for n in (8, 3):
        assert_agrees(model, n, rng)


@pytest.mark.slow
def test_losses_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = net("input x: 40", "dense(1000) -> softmax", batch=64).replace("mse", "cross_entropy")
    assert_same_bits(text, rng, (64, 13, 1))
    text = net("input x: 40", "dense(700) -> tanh -> dense(70) -> sigmoid", batch=64)
    assert_same_bits(text.replace("mse", "binary_cross_entropy"), rng, (64, 13, 1))


# -------------------------------------------------------------------------------- functions of one number


def normal(x: float) -> float:
    """erfc(z) / 2 with z = -x / sqrt(2), whose rounding is made good by the slope: in the tail it counts x^2 times."""
    z = -x / math.sqrt(2)
    missing = float(-np.longdouble(x) / np.sqrt(np.longdouble(2)) - z)
    return (math.erfc(z) - missing * 2 / math.sqrt(math.pi) * math.exp(-z * z)) / 2


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "log": math.log,
    "log1p": math.log1p,
    "exp": math.exp,
    "expm1": math.expm1,
    "tanh": math.tanh,
    "normal": normal,
}
PROBE = "void probe_{0}(const {1} *x, {1} *y, int n) {{ for (int i = 0; i < n; ++i) y[i] = real_{0}(x[i]); }}\n"


@cache
def probes(dtype: str) -> ctypes.CDLL:
    """The tools' functions, called for every number of an array; those too that the network does not call."""
    with mock.patch("dslc.codegen.emit.needed", lambda tools, code: tools):
        code = emit_network(check_text("net Tiny {\n  input x: 4\n  relu\n}", dtype=dtype)).code
    c_type = "float" if dtype == "float32" else "double"
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "probe.c"), Path(folder, "probe.so")
        source.write_text(code + "".join(PROBE.format(name, c_type) for name in FUNCTIONS))
        flags = [*FLAGS, *native().flags, "-w", "-shared"]
        subprocess.run([*find_compiler().command, *flags, str(source), "-o", str(library), "-lm"], check=True)
        return ctypes.CDLL(str(library))


def probe(name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    arrays = (a.ctypes.data_as(ctypes.c_void_p) for a in (x, y))
    getattr(probes(str(x.dtype)), f"probe_{name}")(*arrays, len(x))
    return y


def wide_range(name: str, rng: np.random.Generator) -> np.ndarray:
    """Numbers of every size at which the function is normal, and those where its formula changes."""
    sizes = np.exp(rng.uniform(-85, 85, 20_000))
    return {
        "log": np.concatenate([sizes, rng.uniform(0.5, 2, 20_000)]),
        "log1p": np.concatenate([sizes, -np.exp(rng.uniform(-80, -1e-3, 20_000)), rng.uniform(-0.5, 1, 20_000)]),
        "expm1": np.concatenate([-sizes, sizes[sizes < 1], rng.uniform(-20, 87, 40_000)]),
        "normal": np.concatenate([sizes, -sizes[sizes < 1], rng.uniform(-1, 1, 40_000)]),
        "exp": rng.uniform(-86, 87, 40_000),
        "tanh": np.concatenate([sizes[sizes > 1e-30], rng.uniform(-9, 9, 40_000)]),
    }[name]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_accurate(name: str, dtype: str, rng: np.random.Generator) -> None:
    """To a few units in the last place."""
    x = wide_range(name, rng).astype(dtype)
    wanted = np.array([FUNCTIONS[name](float(v)) for v in x])
    units = np.abs(probe(name, x) - wanted) / np.spacing(np.abs(wanted).astype(dtype))
    assert units.max() <= 5, (x[units.argmax()], units.max())


@pytest.mark.parametrize(("dtype", "least"), [("float64", -37), ("float32", -13)])
def test_the_normal_tail_is_as_accurate_as_its_argument(dtype: str, least: float, rng: np.random.Generator) -> None:
    """To a few units in the last place of what the rounding of x alone does to it: x^2 times as much."""
    x = -np.exp(rng.uniform(np.log(1e-3), np.log(-least), 40_000)).astype(dtype)
    wanted = np.array([FUNCTIONS["normal"](float(v)) for v in x])
    error = np.abs(probe("normal", x) / wanted - 1) / np.finfo(dtype).eps
    assert (error <= 4 + x**2).all(), (x[error.argmax()], error.max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_at_the_ends(dtype: str) -> None:
    nan, inf = np.nan, np.inf
    for name, at in {
        "log": {0: -inf, -1: nan, 1: 0, inf: inf, -inf: nan, nan: nan},
        "log1p": {0: 0, -1: -inf, -2: nan, inf: inf, -inf: nan, nan: nan},
        "expm1": {0: 0, -1e30: -1, -inf: -1, nan: nan},
        "normal": {1e30: 1, -1e30: 0, inf: 1, nan: nan},
    }.items():
        found = probe(name, np.array([*at], dtype))
        assert np.array_equal(found, np.array([*at.values()], dtype), equal_nan=True), (name, found)


# -------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("target", [native(), TARGETS["generic"]], ids=lambda target: target.name)
@pytest.mark.parametrize("size", [1, 47, 49, 700])
def test_dropout_draws_the_words_of_the_reference(size: int, target: Target, rng: np.random.Generator) -> None:
    """Whole dozens of blocks and parts of one; formulas behind and before."""
    text = net("input x: 5", f"dense({size}) -> relu -> dropout(0.3) -> tanh -> dense(3)")
    model = randomize_parameters(Model(check_text(text, dtype="float64"), target=target), rng)
    for n in (8, 1):
        assert_agrees(model, n, rng)


def test_dropped_channels_and_examples_with_formulas_behind(rng: np.random.Generator) -> None:
    """Fused into the kernel, and the derivative before it on the way back."""
    body = "conv(53, 1x1) -> relu -> spatial_dropout(0.3) -> tanh -> drop_path(0.4) -> relu -> flatten -> dense(3)"
    model = randomize_parameters(Model(check_text(net("input x: 3x2x5", body), dtype="float64")), rng)
    kernels = {k.operation.name: k.operation for s in model.plan.steps for k in s.kernels}
    assert kernels["spatial_dropout1_forward"].fused and kernels["drop_path1_forward"].fused
    for n in (8, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("layer", ["spatial_dropout(0.5)", "drop_path(0.5)"])
def test_dropped_channels_and_examples_with_any_number_of_threads(layer: str, rng: np.random.Generator) -> None:
    text = net("input x: 9x9x3", f"conv(30, 1x1) -> relu -> {layer} -> flatten -> dense(3)", batch=100)
    assert_same_bits(text, rng, (100, 33, 1))


def test_drop_path_drops_as_often_as_its_rate_says() -> None:
    """Of ones arrives 1 / (1 - rate) or, all numbers of an example together, 0; the gradients of factors behind tell
    the mean of the squares."""
    text = net("input x: 6", "drop_path(0.25) -> scale", batch=4000)
    model = dslc.loads(text, dtype="float64")
    gradient = model.gradients(np.ones((4000, 6)), np.zeros((4000, 6)))["scale1.factor"]
    kept = gradient / (2 / 6) * 0.75**2
    assert abs(kept[0] - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)
    assert np.allclose(kept, kept[0], rtol=1e-12)


def test_dropout_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = net("input x: 40", "dense(701) -> relu -> dropout(0.5) -> dense(3)", batch=100)
    assert_same_bits(text, rng, (100, 33, 1))


def test_rows_of_a_power_of_two(rng: np.random.Generator) -> None:
    """Where they are copied to lie further apart: more than a tile has, a few, and one."""
    model = load(net("input x: 32x32", "flatten -> dense(17) -> tanh -> dense(2)", batch=29), rng, "float32")
    for n in (29, 3, 1):
        assert_agrees(model, n, rng)
