"""concat: joins values along the last axis: features, or channels of images of the same height and width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class SliceDetail:
    """Channels `start` to `start + width` of `total`, in each of `pixels` pixels."""

    pixels: int
    total: int
    start: int
    width: int


@dataclass(frozen=True)
class Concat(Layer):
    """The channels of the first value, then those of the second, and so on."""

    merges = True
    examples = (Example("concat", ((4,), (3,))), Example("concat", ((3, 2, 5), (3, 2, 1), (3, 2, 4))))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The channels add up; rows and columns stay. Raises SizeProblem if those differ."""
        if len({shape[:-1] for shape in inputs}) > 1:
            found = " and ".join(show_shape(shape) for shape in inputs)
            raise SizeProblem(f"concat needs images of the same height and width, or only vectors, not {found}")
        return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.concatenate(xs, axis=-1); dy is cut at the same places."""
        cuts = list(accumulate(x.shape[-1] for x in xs))[:-1]
        return Reference(np.concatenate(xs, axis=-1), lambda dy: (tuple(np.split(dy, cuts, axis=-1)), {}))

    def _slices(self, site: Site) -> list[SliceDetail]:
        total = site.y.shape[-1]
        widths = [x.shape[-1] for x in site.x]
        starts = [0, *accumulate(widths)]
        return [SliceDetail(site.y.elements // total, total, s, w) for s, w in zip(starts, widths, strict=False)]

    def forward(self, site: Site) -> None:
        """One `concat` of all inputs."""
        site.op("concat", "forward", site.x, (site.y,), tuple(self._slices(site)))

    def backward(self, site: Site) -> None:
        """One `slice` of dy for each input."""
        for number, (dx, part) in enumerate(zip(site.dx, self._slices(site), strict=True), 1):
            if dx is not None:
                site.op("slice", f"backward_{number}", (site.dy,), (dx,), part)
