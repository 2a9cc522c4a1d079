"""layernorm: layer normalization (Ba, Kiros and Hinton 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.language.arguments import Positive
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class LayerNormDetail:
    """`features` numbers are normalized together, a row: all of an example, or a step of a sequence."""

    rows: int
    features: int
    eps: float


@dataclass(frozen=True)
class LayerNorm(Layer):
    """gamma * (x - mean) / sqrt(var + eps) + beta with the mean and the biased variance of all numbers of one example:
    of an image over rows, columns and channels. As in the paper every number has its own gamma and beta. Every step
    of a sequence is normalized by itself, with one gamma and beta for each channel."""

    eps: Positive = 1e-5

    examples = (
        Example("layernorm", ((7,),)),
        Example("layernorm(eps=1e-2)", ((130,),)),
        Example("layernorm", ((3, 5, 9),)),
        Example("layernorm", ((6, 5),)),
        Example("layernorm(eps=1e-3)", ((130, 17),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for a single number, which is its own mean."""
        if prod(normalized(inputs[0])) == 1:
            raise SizeProblem(
                f"layernorm of {show_shape(inputs[0])} is always beta: one number is its own mean",
                notes=("help: it needs at least two numbers in each example, of a sequence in each step",),
            )
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """gamma and beta, both of the shape of the input, of a sequence of one step."""
        shape = normalized(inputs[0])
        return (Weights("gamma", shape, "ones"), Weights("beta", shape, "zeros"))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """x_hat = (x - mean) / sqrt(var + eps) over all axes but the first, of a sequence over the last; y = gamma *
        x_hat + beta.

        With g = dy * gamma: dx = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(var + eps), dgamma = sum of dy * x_hat
        and dbeta = sum of dy, over examples and the steps of a sequence (Ba, Kiros and Hinton 2016).
        """
        x = xs[0]
        axes = tuple(range(x.ndim - len(normalized(x.shape[1:])), x.ndim))
        mean = x.mean(axis=axes, keepdims=True)
        deviation = np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + self.eps)
        normal = (x - mean) / deviation

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            slope = dy * p["gamma"]
            along = (slope * normal).mean(axis=axes, keepdims=True)
            dx = (slope - slope.mean(axis=axes, keepdims=True) - normal * along) / deviation
            over = tuple(range(axes[0]))
            return (dx,), {"gamma": (dy * normal).sum(axis=over), "beta": dy.sum(axis=over)}

        return Reference(p["gamma"] * normal + p["beta"], pull)

    def forward(self, site: Site) -> None:
        """One `layernorm`, which keeps mean and 1 / sqrt(var + eps) of each example or step for the backward
        pass."""
        moments = site.save("moments", (2 * self._detail(site).rows,), batched=True)
        reads = (*site.x, site.parameter("gamma"), site.parameter("beta"))
        site.op("layernorm", "forward", reads, (site.y, moments), self._detail(site))

    def backward(self, site: Site) -> None:
        """dgamma and dbeta by `layernorm_sums`, dx by `layernorm_gradient`."""
        reads = (site.dy, site.x[0], site.saved["moments"])
        dgamma, dbeta = site.gradient("gamma"), site.gradient("beta")
        if dgamma is not None and dbeta is not None:
            site.op("layernorm_sums", "backward_affine", reads, (dgamma, dbeta), self._detail(site))
        if (dx := site.dx[0]) is not None:
            site.op(
                "layernorm_gradient", "backward_input", (*reads, site.parameter("gamma")), (dx,), self._detail(site)
            )

    def _detail(self, site: Site) -> LayerNormDetail:
        features = prod(normalized(site.y.shape))
        return LayerNormDetail(site.y.elements // features, features, self.eps)


def normalized(shape: Shape) -> Shape:
    """The axes of an example that are normalized together: of a sequence the channels of a step, else all."""
    return shape[1:] if len(shape) == 2 else shape
