"""How parameters start: moments of every init, fans, seeds, and which init is chosen where none is named."""

from __future__ import annotations

from math import cos, sin, sqrt

import numpy as np
import pytest

import dslc.inits
from dslc import registry
from dslc.compiler import check_text
from dslc.inits import Init
from dslc.ir import Parameter

DENSE, CONV = "input x: 300\n  dense(400, init={})", "input x: 8x8x32\n  conv(64, 3x5, groups=2, init={})"
FANS = {DENSE: (300, 400), CONV: (3 * 5 * 16, 3 * 5 * 32)}

# text: (mean, variance from the fans, whether uniform)
MOMENTS = {
    "zeros": (0, lambda i, o: 0, False),
    "ones": (1, lambda i, o: 0, False),
    "constant(0.25)": (0.25, lambda i, o: 0, False),
    "normal(0.3)": (0, lambda i, o: 0.09, False),
    "uniform(-1, 2)": (0.5, lambda i, o: 9 / 12, True),
    "xavier": (0, lambda i, o: 1 / i, False),
    "lecun": (0, lambda i, o: 1 / i, False),
    "he": (0, lambda i, o: 2 / i, False),
    "he_uniform": (0, lambda i, o: 2 / i, True),
    "glorot": (0, lambda i, o: 2 / (i + o), False),
    "glorot_uniform": (0, lambda i, o: 2 / (i + o), True),
}


def first_weight(body: str) -> Parameter:
    return check_text(f"net Start {{\n  {body}\n}}").parameters[0]


def sample(p: Parameter, seed: int = 7) -> np.ndarray:
    return p.init.sample(np.random.default_rng(seed), p.shape, p.fan_in, p.fan_out)


def test_every_init_is_tested_here() -> None:
    assert registry.every(dslc.inits, Init).keys() == {t.partition("(")[0] for t in MOMENTS} | {"orthogonal", "values"}


@pytest.mark.parametrize("body", FANS, ids=["dense", "conv"])
@pytest.mark.parametrize("text", MOMENTS)
def test_moments(text: str, body: str) -> None:
    """Mean and variance within five standard errors; the tails tell uniform from normal."""
    weight = first_weight(body.format(text))
    values = sample(weight).ravel()
    mean, variance, uniform = MOMENTS[text]
    std = sqrt(variance(*FANS[body]))
    assert (weight.fan_in, weight.fan_out) == FANS[body]
    assert len(values) > 10_000
    if std == 0:
        assert (values == mean).all()
        return
    kurtosis = 9 / 5 if uniform else 3
    assert abs(values.mean() - mean) < 5 * std / sqrt(len(values))
    assert abs(values.var() / std**2 - 1) < 5 * sqrt((kurtosis - 1) / len(values))
    farthest = np.abs(values - mean).max() / std
    assert sqrt(3) * 0.999 < farthest <= sqrt(3) if uniform else 3.5 < farthest < 7


@pytest.mark.parametrize(
    "body",
    ["input x: 40\n  dense(25, init=orthogonal)", "input x: 25\n  dense(40, init=orthogonal)",
     "input x: 8x8x3\n  conv(20, 3x3, init=orthogonal)", "input x: 8x8x2\n  conv(40, 3x3, init=orthogonal)"],
    ids=["wide", "tall", "conv", "conv with many filters"],
)  # fmt: skip
def test_orthogonal(body: str) -> None:
    """The filters, or else what each meets, have length 1 and stand at right angles."""
    weight = first_weight(body)
    w = sample(weight)
    flat = w if w.ndim == 2 else w.reshape(-1, w.shape[-1])
    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    assert np.abs(product - np.eye(len(product))).max() < 1e-13
    assert abs(w.mean()) < 5 / sqrt(w.size * max(flat.shape))
    assert not np.array_equal(w, sample(weight, seed=8))


def test_values_of_dense() -> None:
    """Unit after unit."""
    weight = first_weight("input x: 3\n  dense(2, init=values(1, 2, 3, -4, 0.5, 2 * 3))")
    assert np.array_equal(sample(weight), [[1, 2, 3], [-4, 0.5, 6]])


def test_values_of_conv() -> None:
    """Filter after filter, each row by row, a pixel's channels together."""
    numbers = np.arange(2 * 2 * 3 * 4)
    listed = ", ".join(map(str, numbers))
    weight = first_weight(f"input x: 8x8x4\n  conv(2, 2x3, init=values({listed}))")
    for k, filter_ in enumerate(numbers.reshape(2, 2, 3, 4)):
        assert np.array_equal(sample(weight)[..., k], filter_)


NET = "net Seeds {{\n  input x: 6\n  dense(9) -> tanh\n  {more}\n  dense(3, name=last) -> softmax\n}}\n"
TRAIN = "train {{\n  loss cross_entropy\n  optimizer sgd(0.1)\n  seed {seed}\n}}\n"


def started(seed: int, more: str = "batchnorm", dtype: str = "float32") -> dict[str, np.ndarray]:
    return dslc.loads(NET.format(more=more) + TRAIN.format(seed=seed), dtype=dtype).copy_weights()


def test_one_seed_gives_the_same_bits() -> None:
    first, second = started(3), started(3)
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_another_seed_gives_other_weights() -> None:
    first, second = started(3), started(4)
    for name in ("dense1.weight", "last.weight"):
        assert not (first[name] == second[name]).any()


def test_layers_draw_from_streams_of_their_own() -> None:
    """A layer more changes no other layer, and no two layers start alike."""
    first, second = started(3), started(3, "dense(9) -> tanh -> batchnorm")
    assert all(np.array_equal(first[name], second[name]) for name in ("dense1.weight", "last.weight"))
    assert not np.intersect1d(second["dense1.weight"], second["dense2.weight"]).size


def test_precision_only_rounds() -> None:
    single, double = started(3), started(3, dtype="float64")
    assert all(np.array_equal(single[name], double[name].astype(np.float32)) for name in single)


@pytest.mark.parametrize(
    ("chain", "init"),
    [
        ("dense(5) -> relu", "He"),
        ("dense(5) -> batchnorm -> relu", "He"),
        ("dense(5, bias=off) -> batchnorm -> dropout(0.5) -> leaky_relu", "He"),
        ("dense(5) -> tanh", "Xavier"),
        ("dense(5) -> batchnorm -> tanh", "Xavier"),
        ("dense(5) -> sigmoid", "Xavier"),
        ("dense(5)", "Glorot"),
        ("dense(5) -> softmax", "Glorot"),
        ("dense(5) -> dense(4) -> relu", "Glorot"),
        ("dense(5) -> linear -> dense(4) -> tanh", "Glorot"),
        ("dense(5, init=zeros) -> relu", "Zeros"),
    ],
)
def test_the_usual_init(chain: str, init: str) -> None:
    assert type(first_weight(f"input x: 6\n  {chain}").init).__name__ == init


def test_the_usual_init_across_a_merge() -> None:
    body = "input x: 6x6x2\n  a = x -> conv(2, 3x3, pad=same) -> batchnorm\n  output y = add(a, x) -> relu"
    assert type(first_weight(body).init).__name__ == "He"


def test_the_init_of_train() -> None:
    """It counts where the layer names none; biases and batchnorm keep their own."""
    text = NET.format(more="batchnorm").replace("name=last", "name=last, init=normal(1)")
    network = check_text(text + TRAIN.format(seed=1).replace("seed", "init he_uniform\n  seed"))
    assert {p.name: type(p.init).__name__ for p in network.parameters} == {
        "dense1.weight": "HeUniform",
        "dense1.bias": "Zeros",
        "batchnorm1.gamma": "Ones",
        "batchnorm1.beta": "Zeros",
        "batchnorm1.mean": "Zeros",
        "batchnorm1.var": "Ones",
        "last.weight": "Normal",
        "last.bias": "Zeros",
    }


def test_waves_are_those_of_the_paper() -> None:
    """Vaswani et al. 2017: sin(t / 10000^(2i / channels)) in channel 2i, and its cosine in channel 2i + 1."""
    waves = sample(first_weight("input x: 9x7\n  positional(sinusoidal)"))
    for t, c in np.ndindex(9, 7):
        angle = t / 10000 ** ((c - c % 2) / 7)
        assert waves[t, c] == pytest.approx(cos(angle) if c % 2 else sin(angle), abs=1e-12)
