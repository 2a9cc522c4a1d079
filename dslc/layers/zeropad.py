"""zeropad: zeros around an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Border
from dslc.layers import Example, Layer, Mode, Reference
from dslc.layers._boxes import BoxDetail
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, Sides, require_image


@dataclass(frozen=True)
class ZeroPad(Layer):
    """`pad` rows above and below, and columns on the left and on the right."""

    pad: Annotated[Sides, Border()]

    examples = (
        Example("zeropad(1)", ((3, 4, 5),)),
        Example("zeropad((0, 1, 2, 0))", ((3, 1, 17),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Rows and columns with those around them. Raises SizeProblem for a vector."""
        require_image(inputs[0], "zeropad")
        rows, columns, channels = inputs[0]
        return (rows + sum(self.pad[0]), columns + sum(self.pad[1]), channels)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The sums for rows and columns."""
        sums = [
            f"{before} + {n} + {after} = {before + n + after}"
            for n, (before, after) in zip(inputs[0][:2], self.pad, strict=True)
        ]
        return "; ".join(dict.fromkeys(sums))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.pad(x); dx is the part of dy without the padding."""
        x, ((top, _), (left, _)) = xs[0], self.pad
        inside = (slice(None), slice(top, top + x.shape[1]), slice(left, left + x.shape[2]))
        return Reference(np.pad(x, [(0, 0), *self.pad, (0, 0)]), lambda dy: ((dy[inside],), {}))

    def _detail(self, site: Site) -> BoxDetail:
        return BoxDetail(site.y.shape, site.input_shapes[0], (self.pad[0][0], self.pad[1][0], 0))

    def forward(self, site: Site) -> None:
        """One `place` of x in the larger image."""
        site.op("place", "forward", site.x, (site.y,), self._detail(site))

    def backward(self, site: Site) -> None:
        """One `cut` of dy."""
        if (dx := site.dx[0]) is not None:
            site.op("cut", "backward", (site.dy,), (dx,), self._detail(site))
