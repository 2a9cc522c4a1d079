"""add: the sum of two or more values of the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference, require_alike
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape


@dataclass(frozen=True)
class Add(Layer):
    """y = a + b + ..."""

    merges = True
    examples = (Example("add", ((4,), (4,))), Example("add", ((3, 2, 5), (3, 2, 5), (3, 2, 5))))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape that all inputs have. Raises SizeProblem if they differ."""
        return require_alike(inputs, "add")

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = xs[0] + xs[1] + ...; the gradient of every input is dy."""
        return Reference(sum(xs[1:], xs[0]), lambda dy: ((dy,) * len(xs), {}))

    def forward(self, site: Site) -> None:
        """One `add` of all inputs."""
        site.op("add", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """Every dx is another name for dy."""
        for number, dx in enumerate(site.dx, 1):
            if dx is not None:
                site.op("identity", f"backward_{number}", (site.dy,), (dx,))
