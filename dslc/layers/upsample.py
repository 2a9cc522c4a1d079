"""upsample: more rows and columns, by repeating pixels or by lines between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import OneOf, Size
from dslc.layers import Example, Layer, Mode, Reference
from dslc.layers._arithmetic import DY, CombineDetail
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.scalar import variable
from dslc.shape import Pair, Shape, require_image


@dataclass(frozen=True)
class ResizeDetail:
    """An image that becomes `scale` times as high and wide."""

    input: Shape
    scale: Pair


@dataclass(frozen=True)
class Upsample(Layer):
    """`scale` times as many rows and columns. `nearest` repeats each pixel; `bilinear` takes the value at the centers
    of the new pixels, as PyTorch does without align_corners, and at the edge that of the last pixel."""

    scale: Size = (2, 2)
    mode: Annotated[str, OneOf(("nearest", "bilinear"))] = "nearest"

    examples = (
        Example("upsample", ((3, 4, 5),)),
        Example("upsample(3x1)", ((2, 3, 17),)),
        Example("upsample(2, bilinear)", ((3, 4, 5),)),
        Example("upsample(1x3, bilinear)", ((4, 1, 17),)),
        Example("upsample(3x2, mode=bilinear)", ((2, 5, 3),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Rows and columns times scale. Raises SizeProblem for a vector."""
        require_image(inputs[0], "upsample")
        rows, columns, channels = inputs[0]
        return (rows * self.scale[0], columns * self.scale[1], channels)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The products for rows and columns."""
        products = [f"{n} * {scale} = {n * scale}" for n, scale in zip(inputs[0][:2], self.scale, strict=True)]
        return "; ".join(dict.fromkeys(products))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, c] = sum over h, w of R[i, h] C[j, w] x[n, h, w, c]; dx with the transposed matrices."""
        rows, columns = (self._matrix(xs[0].shape[axis + 1], self.scale[axis]) for axis in (0, 1))
        y = np.einsum("ih,jw,nhwc->nijc", rows, columns, xs[0])
        return Reference(y, lambda dy: ((np.einsum("ih,jw,nijc->nhwc", rows, columns, dy),), {}))

    def _matrix(self, n: int, scale: int) -> Array:
        """What each of n pixels of a line counts in each of the n * scale new ones."""
        new = np.arange(n * scale)
        matrix = np.zeros((n * scale, n))
        if self.mode == "nearest":
            matrix[new, new // scale] = 1
            return matrix
        at = np.maximum((new + 0.5) / scale - 0.5, 0)
        before = np.floor(at).astype(int)
        np.add.at(matrix, (new, before), 1 - (at - before))
        np.add.at(matrix, (new, np.minimum(before + 1, n - 1)), at - before)
        return matrix

    def forward(self, site: Site) -> None:
        """`nearest`: x broadcast along the new rows and columns of each pixel; else one `resize`."""
        if self.mode == "nearest":
            x = variable("x1")
            site.op("combine", "forward", site.x, (site.y,), CombineDetail(x, ("x1",), *self._seen(site, 0, 1)))
        else:
            site.op("resize", "forward", site.x, (site.y,), ResizeDetail(site.input_shapes[0], self.scale))

    def backward(self, site: Site) -> None:
        """The sums of dy over these rows and columns; else one `resize_gradient`."""
        if (dx := site.dx[0]) is None:
            return
        if self.mode == "nearest":
            site.op("combine", "backward", (site.dy,), (dx,), CombineDetail(DY, ("dy",), *self._seen(site, 1, 0)))
        else:
            detail = ResizeDetail(site.input_shapes[0], self.scale)
            site.op("resize_gradient", "backward", (site.dy,), (dx,), detail)

    def _seen(self, site: Site, read: int, written: int) -> tuple[Shape, tuple[Shape, Shape]]:
        """The large image with its squares, and how the two sides are seen: 0 the small image, 1 the large one."""
        (h, w, c), (tall, wide) = site.input_shapes[0], self.scale
        sides = ((h, 1, w, 1, c), (h, tall, w, wide, c))
        return sides[1], (sides[read], sides[written])
