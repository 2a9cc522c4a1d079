"""dense: every output is a weighted sum of all inputs (notes: 'Forward propagation for layer l'), of a sequence at each
step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Annotated

from dslc.bf16 import as_multiplied
from dslc.language.arguments import Count, Flag, NameOf
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._bias import bias_gradient
from dslc.layers.conv import ConvDetail, convolve, convolve_back
from dslc.lowering.details import Bf16Detail
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W^T + b, with W of shape (units, inputs); of a sequence for every step, as PyTorch's Linear has it.

    `tie` names an earlier layer whose weight W is: the table of an embedding as it is, that of a dense layer `turned`,
    which the checker sets: the parameter is W^T then. With `bf16`, which the checker sets for `precision mixed`, both
    operands of the three products are rounded to bf16.
    """

    units: Count
    bias: Flag = True
    tie: Annotated[str | None, NameOf("a layer")] = None
    turned: bool = False
    bf16: bool = False

    examples = (
        Example("dense(3)", ((5,),)),
        Example("dense(33, bias=off)", ((17,),)),
        Example("dense(1)", ((1,),)),
        Example("dense(3)", ((6, 5),)),
        Example("dense(33, bias=off)", ((4, 17),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(inputs,) becomes (units,), and (steps, inputs) becomes (steps, units). Raises SizeProblem for an image."""
        if len(inputs[0]) == 3:
            raise SizeProblem(
                f"dense needs a vector of features, but its input is a {show_shape(inputs[0])} image",
                notes=("help: put flatten before it",),
            )
        return (*inputs[0][:-1], self.units)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The sizes of W, whether there is a bias and products are in bf16, and whose weight it is if not its own."""
        size = f"{self.units} x {inputs[0][-1]}{' + bias' if self.bias else ''}{' in bf16' if self.bf16 else ''}"
        return f"{size}, weight of {self.tie}{' turned' if self.turned else ''}" if self.tie else size

    def with_bf16(self) -> Dense:
        """The layer with all products in bf16."""
        return replace(self, bf16=True)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (units, inputs), or turned, and bias (units,) unless bias=off."""
        n = inputs[0][-1]
        shape = (n, self.units) if self.turned else (self.units, n)
        weight = Weights("weight", shape, decays=True, fan_in=n, fan_out=self.units)
        return (weight, Weights("bias", (self.units,), "zeros")) if self.bias else (weight,)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """units * inputs, for every step."""
        return self.units * prod(inputs[0])

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x @ W.T + b; dx = dy @ W, dW = dy.T @ x, db = dy.sum(axis=0) (notes: 'Forward propagation for layer l',
        'Backward propagation for layer l'). Steps count like examples. With `bf16` of x, W and dy rounded (Micikevicius
        et al. 2017 with bf16: 'Mixed Precision Training'), but for db."""
        x = as_multiplied(xs[0], self.bf16)
        w = as_multiplied(p["weight"].T if self.turned else p["weight"], self.bf16)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            db, dy = dy.reshape(-1, self.units).sum(axis=0), as_multiplied(dy, self.bf16)
            rows = dy.reshape(-1, self.units)
            dw = rows.T @ x.reshape(len(rows), -1)
            return (dy @ w,), {"weight": dw.T if self.turned else dw, "bias": db}

        return Reference(x @ w.T + p.get("bias", 0), pull)

    def forward(self, site: Site) -> None:
        """One `dense_forward` with weight and bias; of a sequence, and of a vector whose weight a sequence has too, a
        `conv_forward`, whose pixels are the steps. A weight that is `turned` is turned first."""
        if self.turned:
            turned = site.save("weight_turned", (self.units, site.x[0].shape[-1]))
            site.op("turn", "turn", (site.parameter("weight"),), (turned,))
            site = _with_turned(site)
        if self.bf16:
            reads = (*site.x, site.parameter("weight"), site.parameter("bias"))
            site.op("bf16_product", "forward", reads, (site.y,), self._bf16_detail(site), self._work(site))
            return
        if _over_steps(site):
            convolve(site, self._pointwise(site), self._work(site))
            return
        reads = (*site.x, site.parameter("weight"), site.parameter("bias"))
        site.op("dense_forward", "forward", reads, (site.y,), multiply_adds=self._work(site))

    def backward(self, site: Site) -> None:
        """dx by `dense_input_gradient`, dW by `dense_weight_gradient`, db by `channel_sum`; of a sequence as a
        convolution."""
        if not self.turned:
            self._backward(site)
            return
        dw, weight = site.gradient("weight"), site.saved["weight_turned"]
        if dw is None:
            self._backward(_with_turned(site))
            return
        turned = replace(weight, name=f"{weight.name}_grad")
        self._backward(replace(_with_turned(site), gradients={**site.gradients, "weight": turned}))
        site.op("turn", "turn_back", (turned,), (dw,))

    def _backward(self, site: Site) -> None:
        if self.bf16:
            self._backward_in_bf16(site)
            return
        if _over_steps(site):
            convolve_back(site, self._pointwise(site), self._work(site))
            return
        if (dx := site.dx[0]) is not None:
            reads = (site.dy, site.parameter("weight"))
            site.op("dense_input_gradient", "backward_input", reads, (dx,), multiply_adds=self._work(site))
        if (dw := site.gradient("weight")) is not None:
            reads = (site.x[0], site.dy)
            site.op("dense_weight_gradient", "backward_weight", reads, (dw,), multiply_adds=self._work(site))
        bias_gradient(site)

    def _backward_in_bf16(self, site: Site) -> None:
        if (dx := site.dx[0]) is not None:
            d, reads = replace(self._bf16_detail(site), backward=True), (site.dy, site.parameter("weight"))
            site.op("bf16_product", "backward_input", reads, (dx,), d, self._work(site))
        if (dw := site.gradient("weight")) is not None:
            reads = (site.x[0], site.dy)
            site.op("bf16_weight_gradient", "backward_weight", reads, (dw,), multiply_adds=self._work(site))
        bias_gradient(site)

    def _bf16_detail(self, site: Site) -> Bf16Detail:
        return Bf16Detail(prod(site.y.shape[:-1]), site.x[0].shape[-1], self.units)

    def _pointwise(self, site: Site) -> ConvDetail:
        *steps, inputs = site.x[0].shape
        return pointwise(prod(steps), inputs, self.units)

    def _work(self, site: Site) -> int:
        return self.multiply_adds(site.input_shapes)


def _over_steps(site: Site) -> bool:
    """Whether the layer, or one with its weight, is over the steps of a sequence: both want filters of one pixel, which
    weights of few units of a vector are not."""
    return any(len(shape) == 2 for shape in site.made)


def _with_turned(site: Site) -> Site:
    """The site with the weight (units, inputs) that `forward` has turned."""
    return replace(site, parameters={**site.parameters, "weight": site.saved["weight_turned"]})


def pointwise(steps: int, inputs: int, units: int) -> ConvDetail:
    """The convolution that a dense layer is over the steps of a sequence: dense weights in blocks of units lie as the
    filters of one pixel do. The steps are pixels of several rows, so that kernels have rows to share and to keep in
    cache."""
    rows = max(n for n in range(1, isqrt(steps) + 1) if steps % n == 0)
    image, one = (rows, steps // rows), (1, 1)
    return ConvDetail((*image, inputs), (*image, units), one, one, (0, 0), one, 1)
