"""multiply: the product of two values of the same shape, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference, require_alike
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class Multiply(Layer):
    """y = a * b."""

    merges = True
    examples = (Example("multiply", ((4,), (4,))), Example("multiply", ((3, 2, 5), (3, 2, 5))))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of both inputs. Raises SizeProblem if they differ, or if there are not two."""
        if len(inputs) != 2:
            raise SizeProblem(f"multiply takes two values, not {len(inputs)}")
        return require_alike(inputs, "multiply")

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a * b; da = dy * b, db = dy * a."""
        a, b = xs
        return Reference(a * b, lambda dy: ((dy * b, dy * a), {}))

    def forward(self, site: Site) -> None:
        """One `multiply`."""
        site.op("multiply", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """dy times the other input, for each input."""
        for number, (dx, other) in enumerate(zip(site.dx, reversed(site.x), strict=True), 1):
            if dx is not None:
                site.op("multiply", f"backward_{number}", (site.dy, other), (dx,))
