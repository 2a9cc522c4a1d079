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

pytestmark = pytest.mark.optimized
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
    assert times(transposed(w.filter), products) == [
        sum(dy[i] * d[i + k] for i in range(w.outputs)) for k in range(w.taps)
    ]


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


def tile(matrix: Matrix, x: np.ndarray) -> np.ndarray:
    """M x M^T over the first two axes, by the statements in x's precision."""
    for _ in range(2):
        x = np.array(execute(matrix, list(x), x.dtype.type)).swapaxes(0, 1)
    return x


def summed(u: np.ndarray, v: np.ndarray, block: int) -> np.ndarray:
    """The sum over the third axis of u * v in float32, all of u by all of v, as a sum of sums of blocks."""
    total = np.zeros((*u.shape[:2], u.shape[3], v.shape[3]), np.float32)
    for start in range(0, u.shape[2], block):
        part = np.zeros_like(total)
        for i in range(start, start + block):
            part += u[:, :, i, :, None] * v[:, :, i, None]
        total += part
    return total


def errors(w: Winograd, left: Matrix, right: Matrix, rng: np.random.Generator) -> np.ndarray:
    """Largest error of 16 x 16 tiles over the largest number: with a plain sum over 256, and with blocks of 32.

    `left` is G and `right` A^T for outputs; A and G^T for the gradient, where dy takes the place of the filter.
    """
    taps, count = len(left[0]), len(right)
    g = rng.standard_normal((taps, taps, 256, 16)).astype(np.float32)
    d = rng.standard_normal((w.size, w.size, 256, 16)).astype(np.float32)
    windows = [[d[y : y + taps, x : x + taps].astype(np.float64) for x in range(count)] for y in range(count)]
    wanted = [[np.einsum("yxcf,yxct->ft", g.astype(np.float64), x) for x in row] for row in windows]
    found = [tile(right, summed(tile(left, g), tile(w.input, d), block)) for block in (256, 32)]
    assert all(y.dtype == np.float32 for y in found)
    return np.array([np.abs(y - wanted).max() / np.abs(wanted).max() for y in found])


def measured(w: Winograd) -> np.ndarray:
    """Means of three: outputs, outputs with sums of blocks, gradients, gradients with sums of blocks."""
    rng = np.random.default_rng(1)
    sides = (w.filter, w.output), (transposed(w.output), transposed(w.filter))
    result = np.concatenate([np.mean([errors(w, *side, rng) for _ in range(3)], axis=0) for side in sides])
    print(f"{name_of(w)} {', '.join(map(str, w.points)):32}", *(f"{error:.1e}" for error in result))
    return result


LIMITS = {(2, 3): 1.5e-6, (4, 3): 6e-6, (5, 3): 2e-5, (2, 5): 7e-6, (4, 5): 2.5e-5}


@pytest.mark.parametrize("w", ALGORITHMS, ids=name_of)
def test_error(w: Winograd) -> None:
    """At most about twice what the module's text reports, and less than with small integers as points."""
    outputs, outputs_of_blocks, gradients, gradients_of_blocks = found = measured(w)
    assert max(outputs, gradients) < LIMITS[w.outputs, w.taps]
    assert outputs_of_blocks < 0.6 * outputs
    assert gradients_of_blocks < 0.6 * gradients
    if w.size == 6:
        assert (found < 0.7 * measured(Winograd(w.outputs, w.taps, tuple(map(Fraction, (0, 1, -1, 2, -2)))))).all()
    if w.size == 8:
        measured(Winograd(w.outputs, w.taps, tuple(map(Fraction, (0, "1/2", "-1/2", 1, -1, 2, -2)))))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("w", ALGORITHMS + OTHERS, ids=name_of)
def test_statements(w: Winograd, transform: str) -> None:
    matrix = TRANSFORMS[transform](w)
    vector = [Fraction(Random(j).randint(-999, 999)) for j in range(len(matrix[0]))]
    assert execute(matrix, vector, exact) == times(matrix, vector)


def test_statements_of_any_matrix() -> None:
    """With pairs of rows and columns, equal ones, negated ones and zeros where chance puts them."""
    random = Random(3)
    for _ in range(300):
        rows, columns, entries = random.randint(1, 6), random.randint(1, 6), random.choice(((0, 1, -1), (0, 2, -2, 1)))
        matrix = tuple(tuple(Fraction(random.choice(entries)) for _ in range(columns)) for _ in range(rows))
        vector = [Fraction(random.randint(-999, 999)) for _ in range(columns)]
        if all(any(row) for row in matrix):
            assert execute(matrix, vector, exact) == times(matrix, vector)
            assert sum(operations(matrix)) <= sum(naive(matrix))


def naive(matrix: Matrix) -> tuple[int, int]:
    """Additions and multiplications of a matrix times a vector, entry by entry."""
    additions = sum(max(0, sum(map(bool, row)) - 1) for row in matrix)
    return additions, sum(abs(c) not in (0, 1) for row in matrix for c in row)


# additions and multiplications: input, filter, output, output transposed, filter transposed
COUNTS = {
    (2, 3): ((4, 0), (3, 2), (4, 0), (2, 0), (4, 3)),
    (4, 3): ((12, 10), (6, 7), (10, 6), (8, 6), (9, 7)),
    (5, 3): ((28, 28), (10, 12), (16, 8), (14, 8), (14, 16)),
    (2, 5): ((12, 10), (10, 11), (8, 2), (4, 2), (11, 10)),
    (4, 5): ((24, 20), (15, 13), (16, 6), (12, 6), (18, 16)),
}


@pytest.mark.parametrize("w", ALGORITHMS, ids=name_of)
def test_operations(w: Winograd) -> None:
    """The counts are those of the text, no more than they were, and fewer than without pairs, where all points have
    their negatives."""
    paired = {-p for p in w.points} == {*w.points}
    for expected, transform in zip(COUNTS[w.outputs, w.taps], TRANSFORMS.values(), strict=True):
        matrix = transform(w)
        text = "\n".join(statements(matrix, "source", "result"))
        assert operations(matrix) == (text.count(" + ") + text.count(" - "), text.count("REAL("))
        assert all(count <= limit for count, limit in zip(operations(matrix), expected, strict=True))
        assert sum(operations(matrix)) <= sum(naive(matrix))
        assert sum(operations(matrix)) < sum(naive(matrix)) or not naive(matrix)[1] or not paired


def test_text() -> None:
    assert statements(winograd(4, 3).input[3:], "d", "t[{} * step]") == [
        "const vec even0 = d[4] - REAL(0.390625) * d[2];",
        "const vec odd0 = REAL(1.5) * (d[3] - REAL(0.390625) * d[1]);",
        "t[0 * step] = even0 + odd0;",
        "t[1 * step] = even0 - odd0;",
        "t[2 * step] = d[5] + REAL(0.87890625) * d[1] - REAL(2.640625) * d[3];",
    ]
    assert statements(winograd(2, 5).output, "s", "y") == [
        "const vec sum1 = s[1] + s[2];",
        "const vec difference1 = s[1] - s[2];",
        "const vec sum3 = s[3] + s[4];",
        "const vec difference3 = s[3] - s[4];",
        "y[0] = s[0] + sum1 + sum3;",
        "y[1] = s[5] + REAL(0.75) * difference1 + REAL(1.5) * difference3;",
    ]
    two = Fraction(2)
    assert statements(((two, -two), (0 * two, 0 * two)), "x", "y") == [
        "y[0] = REAL(2.0) * (x[0] - x[1]);",
        "y[1] = zeros();",
    ]
