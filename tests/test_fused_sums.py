"""No sum of the emitted C may be compiled in two ways.

C leaves to the compiler which product it fuses with an addition. Of `a * b + c * d` gcc fuses one product in the
vectors of a loop and may fuse the other in the numbers that are left over; how many these are depends on the number of
threads.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from gimple import functions
from test_targets import NETS, Net, network_text

from dslc.codegen.emit import emit
from dslc.compiler import check_text, plan_network
from dslc.scalar import Scalar, exp, variable, where
from dslc.target import TARGETS

V3 = TARGETS["x86-64-v3"]
SETTINGS = network_text(
    [
        "input x: 37",
        "h = x -> dense(40) -> batchnorm -> tanh",
        "output few = h -> dense(3) -> softmax",
        "output many = h -> dense(70) -> softmax",
    ],
    [
        "loss few: cross_entropy(label_smoothing=0.1)",
        "loss many: cross_entropy(label_smoothing=0.1)",
        "optimizer sgd(0.1, momentum=0.9, nesterov=on)",
        "regularize l2(0.1)",
        "clip norm(1)",
        "average ema(0.9)",
        "batch 19",
    ],
)
"""What the networks for targets leave at its default."""
TEXTS = {**{name: make(V3) for name, make in NETS.items()}, "settings": Net(SETTINGS)}


X, Y = variable("x"), variable("y")


@pytest.mark.parametrize(
    ("formula", "printed"),
    [
        (X * Y + 1, "x * y + 1"),
        (0.5 - X * Y, "REAL(0.5) - x * y"),
        (X * Y + X, "multiply_add(x, y, x)"),
        (X - 2 * Y, "multiply_add(-2, y, x)"),
        (X * Y - Y * Y, "multiply_add(x, y, -y * y)"),
        (X * X - where(X > 0, Y * Y, 1), "multiply_add(x, x, -(x > 0 ? y * y : 1))"),
        (-(X * Y) + exp(X), "multiply_add(-x, y, real_exp(x))"),
        ((X * Y).of("x", X + Y) - X / Y, "multiply_add(x + y, y, -(x / y))"),
        ((X + Y).of("x", X * X), "(x * x) + y"),
    ],
)
def test_formulas(formula: Scalar, printed: str) -> None:
    """Every sum of a product and of anything but a number."""
    assert formula.code == printed


SUMS = {
    "x[i] * y[i] + y[i] * y[i + 1]": True,
    "-(x[i] * y[i]) - 0.5f * square(y[i])": True,
    "x[i] * y[i] + (y[i] > 0 ? 1 / y[i] : 0)": True,
    "fmaf(x[i], y[i], y[i] * y[i + 1])": False,
    "x[i] * y[i] + 1": False,
    "(x[i] * y[i] + 1) + y[i] * y[i]": False,
    "x[i] * y[i] + 1 / (y[i] * y[i])": False,
}


def test_sums_are_found(tmp_path: Path) -> None:
    """By what they are, and not by how they are spelled."""
    square = "static inline float square(float x) { return x * x; }"
    given = "float *restrict z, const float *x, const float *y, int n"
    loops = [f"void sum{k}({given}) {{ for (int i = 0; i < n; ++i) z[i] = {text}; }}" for k, text in enumerate(SUMS)]
    code = "\n".join(["#include <math.h>", square, *loops, ""])
    found = {f.name: any(f.undecided()) for f in functions(code, V3.flags, tmp_path)}
    assert [found[f"sum{k}"] for k in range(len(SUMS))] == [*SUMS.values()]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name != "settings" else ()) for name in TEXTS]
)
def test_which_product_is_fused_is_said(name: str, tmp_path: Path) -> None:
    """In all kernels, layers, losses and rules, for a CPU with multiply-adds. Vectors that the C itself spells have no
    numbers left over."""
    net = TEXTS[name]
    code = emit(plan_network(check_text(net.text), V3, options=net.options)).code
    lines = code.splitlines()
    found = [
        f"{function.name}: {lines[value.line - 1].strip()}"
        for function in functions(code, V3.flags, tmp_path)
        for value in function.undecided()
    ]
    assert not found, "\n".join(found)
