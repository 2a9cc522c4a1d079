"""dense: every output is a weighted sum of all inputs (notes: 'Forward propagation for layer l')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Count, Flag
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W^T + b, with W of shape (units, inputs)."""

    units: Count
    bias: Flag = True

    examples = (Example("dense(3)", ((5,),)), Example("dense(33, bias=off)", ((17,),)), Example("dense(1)", ((1,),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(inputs,) becomes (units,). Raises SizeProblem for an image."""
        if len(inputs[0]) != 1:
            raise SizeProblem(
                f"dense needs a vector of features, but its input is a {show_shape(inputs[0])} image",
                notes=("help: put flatten before it",),
            )
        return (self.units,)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The sizes of W, and whether there is a bias."""
        return f"{self.units} x {inputs[0][0]}{' + bias' if self.bias else ''}"

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (units, inputs), and bias (units,) unless bias=off."""
        n = inputs[0][0]
        weight = Weights("weight", (self.units, n), decays=True, fan_in=n, fan_out=self.units)
        return (weight, Weights("bias", (self.units,), "zeros")) if self.bias else (weight,)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """units * inputs."""
        return self.units * inputs[0][0]

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x @ W.T + b; dx = dy @ W, dW = dy.T @ x, db = dy.sum(axis=0) (notes: 'Forward propagation for layer l',
        'Backward propagation for layer l')."""
        x, w = xs[0], p["weight"]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            return (dy @ w,), {"weight": dy.T @ x, "bias": dy.sum(axis=0)}

        return Reference(x @ w.T + p.get("bias", 0), pull)

    def forward(self, site: Site) -> None:
        """One `dense_forward` with weight and bias."""
        reads = (*site.x, site.parameter("weight"), site.parameter("bias"))
        site.op("dense_forward", "forward", reads, (site.y,), multiply_adds=self._work(site))

    def backward(self, site: Site) -> None:
        """dx by `dense_input_gradient`, dW by `dense_weight_gradient`, db by `channel_sum`."""
        if (dx := site.dx[0]) is not None:
            reads = (site.dy, site.parameter("weight"))
            site.op("dense_input_gradient", "backward_input", reads, (dx,), multiply_adds=self._work(site))
        if (dw := site.gradient("weight")) is not None:
            reads = (site.x[0], site.dy)
            site.op("dense_weight_gradient", "backward_weight", reads, (dw,), multiply_adds=self._work(site))
        if (db := site.gradient("bias")) is not None:
            site.op("channel_sum", "backward_bias", (site.dy,), (db,))

    def _work(self, site: Site) -> int:
        return self.multiply_adds(site.input_shapes)
