"""Winograd's algorithms: exact against direct filtering, the error in float32, and the statements printed as C."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest

from dslc.winograd import POINTS, Matrix, Winograd, operations, statements, transposed, winograd

ALGORITHMS = [winograd(*key) for key in POINTS]
OTHERS = [
    Winograd(1, 1, ()),
    Winograd(3, 2, (Fraction(1), Fraction(-1), Fraction(3))),
    Winograd(2, 2, (Fraction(2, 3), Fraction(-5, 7))),
    Winograd(1, 4, (Fraction(0), Fraction(2), Fraction(-2))),
    Winograd(5, 1, (Fraction(1, 3), Fraction(1), Fraction(0), Fraction(-1))),
    Winograd(3, 4, (Fraction(-1), Fraction(0), Fraction(1), Fraction(4), Fraction(1, 4))),
    Winograd(6, 3, tuple(map(Fraction, (0, "1/2", "-1/2", 1, -1, "7/4", "-7/4")))),
]
TRANSFORMS: dict[str, Callable[[Winograd], Matrix]] = {
    "input": lambda w: w.input,
    "filter": lambda w: w.filter,
    "output": lambda w: w.output,
    "output transposed": lambda w: transposed(w.output),
    "filter transposed": lambda w: transposed(w.filter),
}


def name_of(algorithm: Winograd) -> str:
    return f"F({algorithm.outputs},{algorithm.taps})"


def times(matrix: Matrix, vector: list[Any]) -> list[Any]:
    return [sum(c * x for c, x in zip(row, vector, strict=True)) for row in matrix]


def filtered(w: Winograd, d: list[Any], g: list[Any]) -> list[Any]:
    return [sum(g[k] * d[i + k] for k in range(w.taps)) for i in range(w.outputs)]


def execute(matrix: Matrix, vector: list[Any], number: Callable[[str], Any]) -> list[Any]:
    """Runs the C statements of a matrix as Python, with `number` as the meaning of a literal."""
    found: dict[str, Any] = {"number": number, "source": vector, "result": [None] * len(matrix)}
    for line in statements(matrix, "source", "result"):
        assert re.fullmatch(r"(const vec [a-z]+\d+|result\[\d+\]) = [^=;]+;", line)
        exec(re.sub(r"REAL\(([^()]*)\)", r'number("\1")', line.removeprefix("const vec ").rstrip(";")), found)
    return list(found["result"])


def exact(literal: str) -> Fraction:
    """The fraction that was printed: the simplest one whose nearest double this is."""
    value = Fraction(literal).limit_denominator(10**7)
    assert float(value) == float(literal)
    return value


@pytest.mark.parametrize("w", ALGORITHMS + OTHERS, ids=name_of)
def test_exact(w: Winograd) -> None:
    random = Random(7)
    d, g, dy = ([random.randint(-99, 99) for _ in range(n)] for n in (w.size, w.taps, w.outputs))
    products = [a * b for a, b in zip(times(w.filter, g), times(w.input, d), strict=True)]
    assert times(w.output, products) == filtered(w, d, g)
    products = [a * b for a, b in zip(times(transposed(w.output), dy), times(w.input, d), strict=True)]
    assert times(transposed(w.filter), products) == [sum(dy[i] * d[i + k] for i in range(w.outputs)) for k in range(w.taps)]


def test_lavin_and_gray() -> None:
    """Their F(2, 3), with the last multiplication negated on both sides."""
    half = Fraction(1, 2)
    w = winograd(2, 3)
    assert w.input == ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))
    assert w.filter == ((1, 0, 0), (half, half, half), (half, -half, half), (0, 0, 1))
    assert w.output == ((1, 1, 1, 0), (0, 1, -1, 1))


@pytest.mark.parametrize(
    ("outputs", "taps", "points", "reason"),
    [
        (2, 3, (0, 1, 1), "twice"),
        (2, 3, (0, Fraction(1, 2), Fraction(2, 4)), "twice"),
        (2, 3, (0, 1), "needs 3 finite points"),
        (2, 3, (0, 1, 2, 3), "needs 3 finite points"),
        (0, 3, (0,), "no outputs"),
        (3, 0, (0,), "no taps"),
    ],
)
def test_refused(outputs: int, taps: int, points: tuple[Fraction, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Winograd(outputs, taps, tuple(map(Fraction, points)))


def test_unknown() -> None:
    with pytest.raises(KeyError):
        winograd(3, 3)


@pytest.mark.parametrize("w", ALGORITHMS, ids=name_of)
def test_points_are_exact_in_float32(w: Winograd) -> None:
    assert all(Fraction(float(np.float32(c))) == c for matrix in (w.input, w.output) for row in matrix for c in row)
    assert all(1 <= max(map(abs, row)) < 4.5 for row in w.input)


def tiles(matrix: Matrix, x: np.ndarray) -> np.ndarray:
    """M x M^T over the last two axes, by the statements in x's precision."""
    for axis in (-2, -1):
        vectors = list(np.moveaxis(x, axis, 0))
        x = np.moveaxis(np.array(execute(matrix, vectors, x.dtype.type)), 0, axis)
    return x


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.dtype == np.float32
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def output_error(w: Winograd, rng: np.random.Generator, channels: int = 256) -> float:
    """Largest error of tiles of outputs, over the largest output: 32 tiles by 32 filters."""
    d = rng.standard_normal((32, 1, channels, w.size, w.size)).astype(np.float32)
    g = rng.standard_normal((1, 32, channels, w.taps, w.taps)).astype(np.float32)
    u, v = tiles(w.filter, g), tiles(w.input, d)
    total = np.zeros((32, 32, w.size, w.size), np.float32)
    for c in range(channels):
        total += u[:, :, c] * v[:, :, c]
    windows = np.lib.stride_tricks.sliding_window_view(d[:, 0].astype(np.float64), (w.taps, w.taps), (-2, -1))
    return relative(tiles(w.output, total), np.einsum("tcxyij,fcij->tfxy", windows, g[0].astype(np.float64), optimize=True))


def gradient_error(w: Winograd, rng: np.random.Generator, count: int = 256) -> float:
    """The same of the gradient of 32 x 32 filters, a sum over tiles."""
    d = rng.standard_normal((32, 1, count, w.size, w.size)).astype(np.float32)
    dy = rng.standard_normal((1, 32, count, w.outputs, w.outputs)).astype(np.float32)
    u, v = tiles(transposed(w.output), dy), tiles(w.input, d)
    total = np.zeros((32, 32, w.size, w.size), np.float32)
    for t in range(count):
        total += u[:, :, t] * v[:, :, t]
    windows = np.lib.stride_tricks.sliding_window_view(d[:, 0].astype(np.float64), (w.outputs, w.outputs), (-2, -1))
    wanted = np.einsum("ctijxy,ftxy->cfij", windows, dy[0].astype(np.float64), optimize=True)
    return relative(tiles(transposed(w.filter), total), wanted)
