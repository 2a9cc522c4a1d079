"""Adds normal noise from random words that depend only on seed, step, stream and position."""

from __future__ import annotations

from math import factorial, pi

from dslc.kernels import Setting, Variant, detail
from dslc.layers.noise import NoiseDetail
from dslc.operation import Operation

HIGHEST_POWER = {4: 11, 8: 17}
"""The highest power in the Taylor series of sine and cosine, by the bytes of a number: for an eighth of a turn, further
terms are below the rounding error."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; two words, a logarithm, a root, a sine and a cosine for two elements make it ten times as expensive as
    a copy."""
    d, written = detail(op, NoiseDetail), op.writes[0]
    highest = HIGHEST_POWER[setting.itemsize]
    context = {
        "std": d.std,
        "stream": d.stream,
        "elements": written.elements,
        "sliced": setting.sliced,
        "unit": pi / 2 / 2**22,
        "sine": _series(highest),
        "cosine": _series(highest - 1),
    }
    return [Variant("plain", ("in", "out"), context, setting.memory_cost(written, factor=10))]


def _series(highest: int) -> tuple[float, ...]:
    """The coefficients of sine (highest power odd) or cosine (even), from the highest power down."""
    return tuple((-1) ** (power // 2) / factorial(power) for power in range(highest, -1, -2))
