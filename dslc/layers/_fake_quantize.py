"""What `quantize int8` in `train` puts behind the values that integers take the place of: in training they are rounded
as integers will round them (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Layer, Mode, Reference, Weights
from dslc.lowering.details import CHUNKS
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape

LEVELS = 255
"""The largest of the whole numbers, from 0, that stand for a value."""
WEIGHT_LEVELS = 127
"""The largest of those, from its negative, that stand for a weight."""
KEEP = 0.9
"""The share of the old ends of a range that a mini-batch keeps, as that of the running averages of a batch norm."""
SMALLEST = 1e-30
"""A value whose steps would be smaller is 0: one over them must be a number of single precision."""


@dataclass(frozen=True)
class RangeDetail:
    """`keep` is the share of the old range that is kept."""

    keep: float = KEEP


@dataclass(frozen=True)
class FakeQuantize(Layer):
    """In training step * (q - zero) with q = round(x / step + zero), limited to 0 to 255: step and zero follow from the
    range (`steps_of`), which is a moving average of the least and the largest number of each mini-batch and begins with
    that of the first. At prediction x."""

    mixes = True
    smooth = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """range (2,): the lower and the upper end; both are 0 before the first mini-batch."""
        return (Weights("range", (2,), "zeros", trained=False),)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """In training x rounded, and dx = dy where round(x / step + zero) is one of the levels, else 0: the
        straight-through estimator (Bengio et al. 2013), clipped. The range counts as a constant."""
        x = xs[0]
        if not mode.training:
            return Reference(x, lambda dy: ((dy,), {}))
        seen, known = np.array([x.min(), x.max()]), p["range"]
        ends = KEEP * known + (1 - KEEP) * seen if known.any() else seen
        return Reference(fake_quantized(x, ends), lambda dy: ((dy * is_within(x, ends),), {}), {"range": ends})

    def forward(self, site: Site) -> None:
        """In training the new range, by chunks of the mini-batch, then `fake_quantize`; else nothing."""
        if not site.training:
            site.op("identity", "forward", site.x, (site.y,))
            return
        chunks, ends = site.save("range_chunks", (CHUNKS, 2)), site.save("new_range", (2,))
        known = site.parameter("range")
        site.op("range_chunks", "range_chunks", site.x, (chunks,))
        if site.over_ranks:
            own = site.save("rank_range", (2,))
            site.op("moving_range", "rank_range", (chunks, known), (own,), RangeDetail())
            site.op("range_over_ranks", "new_range", (own,), (ends,))
        else:
            site.op("moving_range", "new_range", (chunks, known), (ends,), RangeDetail())
        site.op("fake_quantize", "forward", (*site.x, ends), (site.y,))

    def backward(self, site: Site) -> None:
        """dx by `fake_quantize_gradient`."""
        if (dx := site.dx[0]) is None:
            return
        if site.training:
            site.op("fake_quantize_gradient", "backward", (site.dy, site.x[0], site.saved["new_range"]), (dx,))
        else:
            site.op("identity", "backward", (site.dy,), (dx,))

    def after(self, site: Site) -> None:
        """Keeps the new range, once the step is accepted."""
        known = site.parameter("range")
        if site.training and known is not None:
            site.op("keep_range", "keep_range", (site.saved["new_range"],), (known,))


def steps_of(ends: Array) -> tuple[Array, Array]:
    """The step between two levels and the level of 0, for numbers between the ends (2,) (Jacob et al. 2018, section
    3.1): 0 is one of them, and has a level of its own."""
    low, top = np.minimum(ends[0], 0), np.maximum(ends[1], 0)
    step = (top - low) / LEVELS
    return step, np.rint(-low / step) if step > SMALLEST else np.zeros_like(step)


def _levels(x: Array, ends: Array) -> Array:
    """x / step + zero, in which the levels are whole numbers."""
    step, zero = steps_of(ends)
    found: Array = x / step + zero if step > SMALLEST else np.zeros_like(x)
    return found


def fake_quantized(x: Array, ends: Array) -> Array:
    """x as the nearest of the levels between the ends (2,)."""
    step, zero = steps_of(ends)
    found: Array = (np.rint(np.clip(_levels(x, ends), 0, LEVELS)) - zero) * step
    return found


def is_within(x: Array, ends: Array) -> Array:
    """Whether the nearest whole number is a level: no number is cut off."""
    levels = np.rint(_levels(x, ends))
    found: Array = (levels >= 0) & (levels <= LEVELS)
    return found


def fake_quantized_weight(weight: Array, units: int) -> Array:
    """weight with each unit, along the axis `units`, rounded to whole multiples, from -127 to 127, of its largest
    absolute value / 127: symmetric, so that none is cut off, and the gradient of what is rounded is that of the
    weight. A factor for each unit, as a batch norm behind is, can be folded in before or after."""
    axes = tuple(axis for axis in range(weight.ndim) if axis != units)
    step = np.abs(weight).max(axis=axes, keepdims=True) / WEIGHT_LEVELS
    found: Array = np.rint(weight / np.where(step > SMALLEST, step, 1)) * step
    return found
