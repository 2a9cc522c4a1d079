"""What `quantize int8` in `train` puts behind the values that integers take the place of: they are rounded as integers
round them (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
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
"""A range whose steps would be smaller does not round: one over them must be a number of single precision."""


@dataclass(frozen=True)
class RangeDetail:
    """`keep` is the share of the old range that is kept."""

    keep: float = KEEP


@dataclass(frozen=True)
class FakeQuantize(Layer):
    """step * (q - zero) with q = round(x / step + zero), limited to 0 to 255: step and zero follow from the range
    (`steps_of`), which in training is a moving average of the least and the largest number of each mini-batch. It
    begins with that of the first; before, x stays as it is. In slices each has its own examples in the average, and
    the last one's is kept."""

    mixes = True
    by_slice = False
    smooth = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """range (2,): the lower and the upper end; both are 0 before the first mini-batch."""
        return (Weights("range", (2,), "zeros", trained=False),)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """x rounded, and dx = dy where round(x / step + zero) is one of the levels, else 0: the straight-through
        estimator (Bengio et al. 2013), clipped. The range counts as a constant."""
        x, ends = xs[0], p["range"]
        if mode.training:
            seen = np.array([x.min(), x.max()])
            ends = KEEP * ends + (1 - KEEP) * seen if ends.any() else seen
        y, updates = fake_quantized(x, ends), {"range": ends} if mode.training else {}
        return Reference(y, lambda dy: ((dy * is_within(x, ends),), {}), updates)

    def forward(self, site: Site) -> None:
        """`fake_quantize`, in training behind the new range, by chunks of the mini-batch."""
        known = site.parameter("range")
        if not site.training:
            site.op("fake_quantize", "forward", (*site.x, known), (site.y,))
            return
        chunks, ends = site.save("range_chunks", (CHUNKS, 2)), site.save("new_range", (2,))
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
        ends = site.saved["new_range"] if site.training else site.parameter("range")
        if (dx := site.dx[0]) is not None:
            site.op("fake_quantize_gradient", "backward", (site.dy, site.x[0], ends), (dx,))

    def after(self, site: Site) -> None:
        """Keeps the new range, once the step is accepted."""
        known = site.parameter("range")
        if site.training and known is not None:
            site.op("keep_range", "keep_range", (site.saved["new_range"],), (known,))


def steps_of(ends: Array) -> tuple[float, float]:
    """The step between two levels and the level of 0, for numbers between the ends (2,) (Jacob et al. 2018, section
    3.1): 0 is one of them, and has a level of its own. (0, 0) where the range is too narrow to round."""
    low, top = min(float(ends[0]), 0.0), max(float(ends[1]), 0.0)
    step = (top - low) / LEVELS
    return (step, float(np.rint(-low / step))) if step > SMALLEST else (0.0, 0.0)


def fake_quantized(x: Array, ends: Array) -> Array:
    """x as the nearest of the levels between the ends (2,)."""
    step, zero = steps_of(ends)
    found: Array = (np.rint(np.clip(x / step + zero, 0, LEVELS)) - zero) * step if step else x
    return found


def is_within(x: Array, ends: Array) -> Array:
    """Whether the nearest whole number is a level: x is not cut off."""
    step, zero = steps_of(ends)
    levels = np.rint(x / step + zero) if step else np.zeros_like(x)
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
