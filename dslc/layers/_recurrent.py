"""What rnn, gru and lstm share: a state that is carried from step to step of a sequence.

The products of the inputs with their weights are one matrix product over all steps; what depends on the state before is
one operation, `recurrence`, that walks the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Annotated, ClassVar

from dslc.inits import Init
from dslc.inits.zeros import Zeros
from dslc.language.arguments import Count, Flag, OneOf, Whole
from dslc.layers import Layer, Mode, Reference, Weights
from dslc.layers._lengths import require_lengths
from dslc.layers._walk import Back, Carried, Walk
from dslc.layers.concat import SliceDetail
from dslc.layers.conv import ConvDetail
from dslc.layers.dense import pointwise
from dslc.lowering.details import CHUNKS
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.operation import Tensor
from dslc.registry import name_of
from dslc.shape import Shape, SizeProblem, describe

REVERSE = "_reverse"
"""What the names of the second direction end in, as in PyTorch."""


@dataclass(frozen=True)
class RecurrenceDetail:
    """One direction of a recurrent layer.

    `cell` is tanh, relu, gru or lstm; its weights are `gates` blocks of `units` rows, and it keeps `kept` numbers of
    every unit and step. `reverse`: from the last step to the first. `last`: the result is the state after the last
    step. `truncate`: the gradient passes from step to step only inside of stretches of this many, 0 everywhere.
    `masked`: each example has its own number of steps. The gradient of the result is in the numbers from `start` on of
    rows of `width`.
    """

    cell: str
    steps: int
    units: int
    gates: int
    kept: int
    reverse: bool
    last: bool
    truncate: int
    masked: bool
    width: int
    start: int

    @property
    def sums(self) -> int:
        """Weighted sums of a step: the units of all gates."""
        return self.gates * self.units

    @property
    def product(self) -> ConvDetail:
        """The product of the state with its weights, as a convolution of one pixel."""
        return pointwise(1, self.units, self.sums)


@dataclass(frozen=True)
class Recurrent(Layer):
    """`return=all`: the hidden state of every step; `last`: that after the last. `bidirectional`: a second layer goes
    from the last step to the first, and the results stand side by side. A second value, `lengths`, is the number of
    steps of each example."""

    units: Count
    return_: Annotated[str, OneOf(("all", "last"))] = "all"
    bidirectional: Flag = False
    bias: Flag = True
    truncate: Annotated[int, Whole(0)] = 0

    takes: ClassVar[tuple[str, ...]] = ("lengths",)
    gates: ClassVar[int]
    kept: ClassVar[int]

    @property
    def cell(self) -> str:
        """The cell of `RecurrenceDetail`."""
        raise NotImplementedError

    def step(self, of_input: Array, of_hidden: Array, before: Carried) -> tuple[Carried, Array]:
        """For the reference: the state after a step, and what `step_back` needs, from the two weighted sums (n, gates *
        units) of a step, of its input and of the hidden state before."""
        raise NotImplementedError

    def step_back(self, saved: Array, before: Carried, slope: Carried) -> Back:
        """The way back through `step`, from the gradient of the state after it."""
        raise NotImplementedError

    @property
    def directions(self) -> tuple[str, ...]:
        """What the names of each direction end in."""
        return ("", REVERSE) if self.bidirectional else ("",)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(steps, channels) becomes (steps, units), or (units,) with return=last; twice the units in both directions.
        Raises SizeProblem for what is no sequence, and for lengths that are not one number."""
        if len(inputs[0]) != 2:
            raise SizeProblem(
                f"{name_of(self)} needs a sequence, but its input is {describe(inputs[0])}",
                notes=("help: declare the input as steps x channels, or use reshape(TxC) first",),
            )
        require_lengths(inputs[1:])
        found = self.units * len(self.directions)
        return (inputs[0][0], found) if self.return_ == "all" else (found,)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The sizes of the weights of one direction, and how many directions there are."""
        rows, channels = self.gates * self.units, inputs[0][1]
        return f"{'2 * ' if self.bidirectional else ''}{rows} x ({channels} + {self.units})"

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """Of each direction, with the names and shapes of PyTorch's: weight_input (gates * units, channels),
        weight_hidden (gates * units, units), orthonormal columns at first (Saxe et al. 2014), and two biases."""
        return tuple(w for suffix in self.directions for w in self._weights(inputs[0][1], suffix))

    def _weights(self, channels: int, suffix: str) -> tuple[Weights, ...]:
        rows, n = self.gates * self.units, self.units
        weights = (
            Weights(f"weight_input{suffix}", (rows, channels), decays=True, fan_in=channels, fan_out=n),
            Weights(f"weight_hidden{suffix}", (rows, n), "orthogonal", decays=True, fan_in=n, fan_out=n),
        )
        biases = (
            Weights(f"bias_input{suffix}", (rows,), self.first_bias()),
            Weights(f"bias_hidden{suffix}", (rows,), "zeros"),
        )
        return (*weights, *biases) if self.bias else weights

    def first_bias(self) -> Init:
        """How the bias of the inputs starts: zeros."""
        return Zeros()

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """steps * gates * units * (channels + units), in each direction."""
        steps, channels = inputs[0]
        return len(self.directions) * steps * self.gates * self.units * (channels + self.units)

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """Lengths go from 0 to the number of steps."""
        return {1: (0, inputs[0][0])} if len(inputs) > 1 else {}

    # ------------------------------------------------------------------------------------------- reference

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """h[t], c[t] = step(W_input x[t] + b_input, W_hidden h[t - 1] + b_hidden, h[t - 1], c[t - 1]) from zeros, as in
        PyTorch; the way back is backpropagation through time (Werbos 1990), cut where `truncate` says."""
        walks = [Walk(self, xs, p, suffix) for suffix in self.directions]
        y = np.concatenate([walk.y for walk in walks], axis=-1)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            parts = [walk.back(d) for walk, d in zip(walks, np.split(dy, len(walks), axis=-1), strict=True)]
            dx = sum((part[0] for part in parts), np.zeros_like(xs[0]))
            return (dx, *(np.zeros_like(x) for x in xs[1:])), {k: v for part in parts for k, v in part[1].items()}

        return Reference(y, pull)

    # ------------------------------------------------------------------------------------------- operations

    def _detail(self, site: Site, suffix: str) -> RecurrenceDetail:
        width = self.units * len(self.directions)
        return RecurrenceDetail(
            cell=self.cell, steps=site.input_shapes[0][0], units=self.units, gates=self.gates, kept=self.kept,
            reverse=suffix == REVERSE, last=self.return_ == "last", truncate=self.truncate, masked=len(site.x) > 1,
            width=width, start=width - self.units if suffix else 0,
        )  # fmt: skip

    def forward(self, site: Site) -> None:
        """For each direction a product of all steps with weight_input, and a `recurrence`; both results are joined by
        `concat`. What the way back needs is kept only where there is one."""
        done = [self._forward_one(site, suffix) for suffix in self.directions]
        if self.bidirectional:
            pixels = site.y.elements // site.y.shape[-1]
            parts = tuple(SliceDetail(pixels, 2 * self.units, i * self.units, self.units) for i in (0, 1))
            site.op("concat", "forward_both", tuple(done), (site.y,), parts)

    def _forward_one(self, site: Site, suffix: str) -> Tensor:
        d = self._detail(site, suffix)
        channels = site.input_shapes[0][1]
        sums = site.save(f"input_sums{suffix}", (d.steps, d.sums), batched=True)
        reads = (site.x[0], site.parameter(f"weight_input{suffix}"), site.parameter(f"bias_input{suffix}"))
        product = pointwise(d.steps, channels, d.sums)
        work = d.steps * d.sums
        site.op("conv_forward", f"forward_input{suffix}", reads, (sums,), product, work * channels)
        y = site.y
        if self.bidirectional:
            y = site.save(f"states{suffix}", (*site.y.shape[:-1], d.units), batched=True)
        kept: tuple[Tensor, ...] = ()
        if site.pulled:
            kept = (
                site.save(f"gates{suffix}", (d.steps, d.kept * d.units), batched=True),
                site.save(f"previous{suffix}", (d.steps, d.units), batched=True),
            )
            if d.cell == "lstm":
                kept = (*kept, site.save(f"cells{suffix}", (d.steps, d.units), batched=True))
        reads = (sums, site.parameter(f"weight_hidden{suffix}"), site.parameter(f"bias_hidden{suffix}"))
        site.op("recurrence", f"forward{suffix}", (*reads, *site.x[1:]), (y, *kept), d, work * d.units)
        return y

    def backward(self, site: Site) -> None:
        """For each direction `recurrence_gradient` for the gradients of both weighted sums at every step, then the
        gradients of weights and biases, and dx, as those of products over all steps."""
        dxs = [dx for suffix in self.directions if (dx := self._backward_one(site, suffix)) is not None]
        if site.dx[0] is not None and self.bidirectional:
            site.op("add", "backward_both", tuple(dxs), (site.dx[0],))

    def _backward_one(self, site: Site, suffix: str) -> Tensor | None:
        d = self._detail(site, suffix)
        channels, work = site.input_shapes[0][1], d.steps * d.sums
        of_input = site.save(f"input_sums_grad{suffix}", (d.steps, d.sums), batched=True)
        of_hidden = of_input
        if d.cell == "gru":
            of_hidden = site.save(f"hidden_sums_grad{suffix}", (d.steps, d.sums), batched=True)
        before = {"lstm": ("cells",), "gru": ("previous",)}.get(d.cell, ())
        reads = (site.dy, site.saved[f"gates{suffix}"], *(site.saved[f"{name}{suffix}"] for name in before))
        weight = site.parameter(f"weight_hidden{suffix}")
        writes = tuple(dict.fromkeys((of_input, of_hidden)))
        job = f"backward{suffix}"
        site.op("recurrence_gradient", job, (*reads, weight, *site.x[1:]), writes, d, work * d.units)
        dx = self._input_gradient(site, suffix, of_input, pointwise(d.steps, channels, d.sums))
        _weight_gradients(site, f"input{suffix}", site.x[0], of_input, d)
        _weight_gradients(site, f"hidden{suffix}", site.saved[f"previous{suffix}"], of_hidden, d)
        return dx

    def _input_gradient(self, site: Site, suffix: str, slope: Tensor, product: ConvDetail) -> Tensor | None:
        dx = site.dx[0]
        if dx is None:
            return None
        if self.bidirectional:
            dx = site.save(f"input_grad{suffix}", dx.shape, batched=True)
        work = prod(product.input) * product.output[2]
        reads = (slope, site.parameter(f"weight_input{suffix}"))
        site.op("conv_input_gradient", f"backward_input{suffix}", reads, (dx,), product, work)
        return dx


def _weight_gradients(site: Site, which: str, x: Tensor, slope: Tensor, d: RecurrenceDetail) -> None:
    """The gradients of one weight, from what it was multiplied with at every step, and of its bias."""
    if (dw := site.gradient(f"weight_{which}")) is not None:
        product = pointwise(d.steps, x.shape[1], d.sums)
        work = d.steps * d.sums * x.shape[1]
        site.op("conv_weight_gradient", f"backward_weight_{which}", (x, slope), (dw,), product, work)
    if (db := site.gradient(f"bias_{which}")) is not None:
        chunks = site.save(f"bias_{which}_chunks", (CHUNKS, d.sums))
        site.op("channel_sum", f"backward_bias_{which}", (slope,), (chunks,))
        site.op("chunk_sum", f"merge_bias_{which}", (chunks,), (db,))
