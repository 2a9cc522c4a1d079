"""Formulas of single numbers, recognized by what they compute: x * sigmoid(x) is `silu`, however it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dslc.interchange.draft import layer_of
from dslc.layers import Activation, Mode
from dslc.numerics import Array, np

POINTS = np.concatenate([np.linspace(-12, 12, 121), [-60.0, -25.0, -3.0, 3.0, 6.0, 25.0, 60.0]])
"""Where formulas are compared: kinks of all activations, and far outside."""
TOLERANCE = 2e-6


@dataclass(frozen=True)
class Recognized:
    """factor * activation(x) + shift, or factor * activation(-x) + shift where it is `mirrored`; without an activation
    factor * x + shift."""

    activation: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    shift: float = 0.0
    mirrored: bool = False


CANDIDATES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("relu", {}), ("sigmoid", {}), ("tanh", {}), ("silu", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"}),
    ("hard_swish", {}), ("hard_sigmoid", {}), ("relu6", {}), ("elu", {}), ("selu", {}), ("mish", {}),
    ("softplus", {}), ("softsign", {}),
)  # fmt: skip


def recognized(function: Callable[[Array], Array]) -> Recognized | None:
    """The activation that a formula is, with a factor and a shift; None if it is none of the language."""
    with np.errstate(all="ignore"):
        found = np.asarray(function(POINTS), np.float64) + np.zeros_like(POINTS)
    if not np.isfinite(found).all():
        return None
    alike = (
        match(candidate) for match in (_matches(found), _matches(found, mirrored=True)) for candidate in CANDIDATES
    )
    return _line(found) or _leaky(found) or next(filter(None, alike), None)


def _close(one: Array, other: Array) -> bool:
    return bool((np.abs(one - other) <= TOLERANCE * np.maximum(1, np.abs(other))).all())


def _line(found: Array) -> Recognized | None:
    factor, shift = np.polyfit(POINTS, found, 1)
    factor, shift = _near(factor), _near(shift)
    return Recognized(factor=factor, shift=shift) if _close(found, factor * POINTS + shift) else None


def _leaky(found: Array) -> Recognized | None:
    alpha = plain(found[0] / POINTS[0])
    if abs(alpha) < TOLERANCE or not _close(found, np.where(POINTS >= 0, POINTS, alpha * POINTS)):
        return None
    return Recognized("leaky_relu", {"alpha": alpha})


def _matches(found: Array, mirrored: bool = False) -> Callable[[tuple[str, Mapping[str, Any]]], Recognized | None]:
    def matches(candidate: tuple[str, Mapping[str, Any]]) -> Recognized | None:
        values = activation_values(*candidate, -POINTS if mirrored else POINTS)
        table = np.stack([values, np.ones_like(values)], axis=1)
        (factor, shift), *_ = np.linalg.lstsq(table, found, rcond=None)
        factor, shift = _near(factor), _near(shift)
        if factor == 0 or not _close(found, factor * values + shift):
            return None
        return Recognized(*candidate, factor, shift, mirrored)

    return matches


def activation_values(kind: str, arguments: Mapping[str, Any], points: Array) -> Array:
    """An activation at some points, by its NumPy reference."""
    layer = layer_of(kind, arguments)
    assert isinstance(layer, Activation)
    with np.errstate(all="ignore"):
        return np.asarray(layer.reference((points[None],), {}, Mode(training=False)).y[0])


def _near(number: float) -> float:
    """As `plain`, and 0 for what is left of it by rounding."""
    return 0.0 if abs(number) < 1e-7 else plain(number)


def plain(number: float) -> float:
    """A number as it was meant: 0.2 for what came out of single precision, 1 for 0.9999999."""
    for digits in (2, 4, 6):
        short = float(f"{number:.{digits}g}")
        if math.isclose(short, number, rel_tol=3e-7):
            return short
    return float(np.float32(number))
