"""What export computes in the place of the target: multiply-adds of one rounding, and Winograd's transforms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dslc.export.arithmetic import Arithmetic
from dslc.export.contraction import transformed
from dslc.winograd import POINTS, winograd

FUSED, PLAIN = Arithmetic(4, True), Arithmetic(4, False)


def rounded(x: Fraction) -> np.float32:
    """The float32 next to a fraction, ties to the even one."""
    near = np.float32(float(x))
    candidates = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(candidates, key=lambda c: (abs(Fraction(float(c)) - x), int(c.view(np.int32)) & 1))


def test_multiply_add_is_rounded_once(rng: np.random.Generator) -> None:
    """Against fractions, also where float64 in between would round to a tie."""
    a, b, c = rng.standard_normal((3, 2000)).astype(np.float32)
    c[::2] *= np.float32(2.0) ** rng.integers(-40, 40, 1000).astype(np.float32)
    a[:2], b[:2], c[:2] = 1 + 2.0**-12, 1 + 2.0**-12, [2.0**-60, -(2.0**-60)]  # a b lies between two floats
    wanted = [
        rounded(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))) for x, y, z in zip(a, b, c, strict=True)
    ]
    np.testing.assert_array_equal(FUSED.multiply_add(a, b, c), np.array(wanted))
    assert (PLAIN.multiply_add(a, b, c) != np.array(wanted)).any()


@pytest.mark.parametrize("arithmetic", [FUSED, PLAIN], ids=["fused", "plain"])
@pytest.mark.parametrize("sizes", POINTS, ids=str)
def test_transforms(sizes: tuple[int, int], arithmetic: Arithmetic, rng: np.random.Generator) -> None:
    """Within a few roundings of the exact matrix."""
    matrix = winograd(*sizes).filter
    x = list(rng.standard_normal((sizes[1], 50)).astype(np.float32))
    found = np.array(transformed(matrix, x, arithmetic))
    assert found.dtype == np.float32
    exact = np.array([[float(c) for c in row] for row in matrix])
    size = np.abs(exact) @ np.abs(np.array(x, np.float64))
    assert (np.abs(found - exact @ np.array(x, np.float64)) <= 4 * 2.0**-24 * size).all()
