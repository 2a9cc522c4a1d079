"""distance: how far two vectors are apart, for siamese networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import NonNegative
from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class DistanceDetail:
    """`eps` is added to every difference; `sign` is that of the gradient: 1 for the first value, -1 for the second."""

    eps: float
    sign: int = 1


@dataclass(frozen=True)
class Distance(Layer):
    """The Euclidean norm of a - b + eps, as PyTorch's `pairwise_distance`: eps keeps the gradient of equal vectors
    finite."""

    eps: NonNegative = 1e-6

    merges = True
    examples = (Example("distance", ((5,), (5,))), Example("distance(eps=0.01)", ((131,), (131,))))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """One number. Raises SizeProblem for other than two vectors of one size."""
        if len(inputs) != 2 or len(set(inputs)) > 1 or len(inputs[0]) != 1:
            listed = " and ".join(map(show_shape, inputs))
            notes = ("help: end both towers with the same dense layer, or with flatten",)
            raise SizeProblem(f"distance takes two vectors of the same size, not {listed}", notes=notes)
        return (1,)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = norm(u) with u = a - b + eps; da = dy u / y and db = -da, 0 where y is."""
        u = xs[0] - xs[1] + self.eps
        y = np.linalg.norm(u, axis=1, keepdims=True)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            da = dy * u / np.where(y > 0, y, 1)
            return (da, -da), {}

        return Reference(y, pull)

    def forward(self, site: Site) -> None:
        """One `distance`."""
        site.op("distance", "forward", site.x, (site.y,), DistanceDetail(self.eps))

    def backward(self, site: Site) -> None:
        """One `distance_gradient` for each of the two."""
        for number, dx in enumerate(site.dx):
            if dx is not None:
                detail = DistanceDetail(self.eps, -1 if number else 1)
                site.op("distance_gradient", f"backward_{number + 1}", (site.dy, *site.x, site.y), (dx,), detail)
