"""Formulas of whole rows, such as the channels of each pixel, recognized by what they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dslc.interchange.formulas import plain
from dslc.numerics import Array, np

TOLERANCE = 1e-5


@dataclass(frozen=True)
class RecognizedRow:
    """A layer over rows, with its eps where it has one."""

    kind: str
    eps: float | None = None


def recognized_row(function: Callable[[Array], Array], count: int) -> RecognizedRow | None:
    """The layer that a formula of rows of `count` numbers is: `softmax`, `log_softmax`, `rmsnorm`, `l2_normalize`, or
    `layernorm` without gamma and beta; None if it is none of them."""
    random = np.random.default_rng(count)
    rows = random.standard_normal((8, count)) * np.array([[0.01], [0.1], [1], [1], [1], [3], [3], [5]])
    tiny = 1e-20 * (1 + random.random((1, count)))
    with np.errstate(all="ignore"):
        found, small = (np.asarray(function(x), np.float64) for x in (rows, tiny))
    if found.shape != rows.shape or not np.isfinite(found).all():
        return None
    for kind, wanted in (("softmax", _softmax(rows)), ("log_softmax", np.log(_softmax(rows)))):
        if _close(found, wanted):
            return RecognizedRow(kind)
    return _normalization(rows, found, tiny, small)


def _normalization(rows: Array, found: Array, tiny: Array, small: Array) -> RecognizedRow | None:
    """What is near 0 is divided by eps, or by its root, alone."""
    mean = rows - rows.mean(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        root = plain(float(tiny[0, 0] / small[0, 0]) ** 2)
        least = plain(float(tiny[0, 0] / small[0, 0]))
        centered = plain(float((tiny - tiny.mean())[0, 0] / small[0, 0]) ** 2)
    power = (rows**2).mean(axis=-1, keepdims=True)
    norm = np.sqrt((rows**2).sum(axis=-1, keepdims=True))
    candidates: tuple[tuple[str, float, Callable[[float], Array]], ...] = (
        ("rmsnorm", root, lambda eps: rows / np.sqrt(power + eps)),
        ("l2_normalize", least, lambda eps: rows / np.maximum(norm, eps)),
        ("layernorm", centered, lambda eps: mean / np.sqrt((mean**2).mean(axis=-1, keepdims=True) + eps)),
    )
    for kind, eps, formula in candidates:
        if np.isfinite(eps) and eps > 0 and _close(found, formula(eps)):
            return RecognizedRow(kind, eps)
    return None


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _close(one: Array, other: Array) -> bool:
    return bool((np.abs(one - other) <= TOLERANCE * np.maximum(1, np.abs(other))).all())
