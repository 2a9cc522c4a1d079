"""attention: every step looks at the others and takes from each what it needs (notes: 'Attention model'; Vaswani et al.
2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dslc.language.arguments import Count, Flag
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._lengths import require_lengths
from dslc.layers.dense import Dense
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.operation import Tensor
from dslc.shape import Shape, SizeProblem, require_sequence


@dataclass(frozen=True)
class AttentionDetail:
    """Of an example with `steps` queries, keys and values, each with `heads` heads of `size` numbers: a row of three
    times heads * size numbers has the queries of a step, its keys and its values. `causal`: no step sees a later one.
    `masked`: keys from the length of an example on are not seen."""

    steps: int
    heads: int
    size: int
    causal: bool
    masked: bool

    @property
    def channels(self) -> int:
        """Numbers in a step of the result."""
        return self.heads * self.size


@dataclass(frozen=True)
class Attention(Layer):
    """Multi-head self-attention, as torch.nn.MultiheadAttention: queries, keys and values are x W_input^T + b_input,
    whose rows are those of PyTorch's in_proj_weight; each head computes softmax(q k^T / sqrt(size)) v, and the heads
    side by side, c, give c W_output^T + b_output. `causal`: no step sees a later one. `lengths`: steps from the length
    of an example on are not seen; where none is, the heads are 0."""

    heads: Count
    causal: Flag = False
    bias: Flag = True

    takes: ClassVar[tuple[str, ...]] = ("lengths",)
    suits = "glorot"
    examples = (
        Example("attention(2)", ((7, 6),)),
        Example("attention(1, causal=on, bias=off)", ((19, 5),)),
        Example("attention(3)", ((9, 12), (1,))),
        Example("attention(2, causal=on)", ((140, 34), (1,))),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for what is no sequence, if the heads do not divide the channels,
        and for lengths that are not one number."""
        require_sequence(inputs[0], "attention")
        if inputs[0][1] % self.heads:
            fitting = -(-inputs[0][1] // self.heads) * self.heads
            raise SizeProblem(
                f"{inputs[0][1]} channels cannot be divided into {self.heads} heads", argument="heads",
                notes=(f"help: dense({fitting}) before it makes channels that fit",),
            )  # fmt: skip
        require_lengths(inputs[1:])
        return inputs[0]

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """Heads and their size."""
        return f"{self.heads} heads of {inputs[0][1] // self.heads}"

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight_input (3 channels, channels), the rows of queries, keys and values, weight_output (channels,
        channels), and their biases unless bias=off."""
        c = inputs[0][1]
        weights = (
            Weights("weight_input", (3 * c, c), decays=True, fan_in=c, fan_out=c),
            Weights("weight_output", (c, c), decays=True, fan_in=c, fan_out=c),
        )
        biases = (Weights("bias_input", (3 * c,), "zeros"), Weights("bias_output", (c,), "zeros"))
        return (*weights, *biases) if self.bias else weights

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """Lengths go from 0 to the number of steps."""
        return {1: (0, inputs[0][0])} if len(inputs) > 1 else {}

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """steps * 4 channels^2 for the weights, and for every query and key that it sees 2 channels."""
        steps, channels = inputs[0]
        return 4 * steps * channels**2 + 2 * channels * _pairs(steps, self.causal)

    # ------------------------------------------------------------------------------------------- reference

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """With a = softmax(q k^T / sqrt(size)) over the keys that are seen: c = a v, and on the way back dv = a^T dc,
        ds = a (dc v^T - sum(dc c)), dq = ds k / sqrt(size), dk = ds^T q / sqrt(size)."""
        x, w_in, w_out = xs[0], p["weight_input"], p["weight_output"]
        n, steps, channels = x.shape
        root = np.sqrt(channels // self.heads)
        sums = x @ w_in.T + p.get("bias_input", 0)
        q, k, v = sums.reshape(n, steps, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        seen = self._seen(xs)
        scores = np.where(seen, q @ k.swapaxes(2, 3) / root, -np.inf)
        largest = scores.max(axis=-1, keepdims=True)
        e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
        a = e / np.maximum(e.sum(axis=-1, keepdims=True), np.finfo(x.dtype).tiny)
        heads = a @ v
        c = heads.swapaxes(1, 2).reshape(x.shape)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dc = dy @ w_out
            of_heads = dc.reshape(n, steps, self.heads, -1).swapaxes(1, 2)
            ds = a * (of_heads @ v.swapaxes(2, 3) - (of_heads * heads).sum(axis=-1, keepdims=True)) / root
            parts = np.stack([ds @ k, ds.swapaxes(2, 3) @ q, a.swapaxes(2, 3) @ of_heads])
            dsums = parts.transpose(1, 3, 0, 2, 4).reshape(sums.shape)
            gradients = {
                "weight_input": np.tensordot(dsums, x, ([0, 1], [0, 1])), "bias_input": dsums.sum(axis=(0, 1)),
                "weight_output": np.tensordot(dy, c, ([0, 1], [0, 1])), "bias_output": dy.sum(axis=(0, 1)),
            }  # fmt: skip
            return (dsums @ w_in, *(np.zeros_like(other) for other in xs[1:])), gradients

        return Reference(c @ w_out.T + p.get("bias_output", 0), pull)

    def _seen(self, xs: tuple[Array, ...]) -> Array:
        """Whether a query sees a key: (n or 1, 1, queries or 1, keys)."""
        steps = np.arange(xs[0].shape[1])
        seen = steps <= (steps[:, None] if self.causal else len(steps))
        seen = np.broadcast_to(seen, (len(steps), len(steps)))[None, None]
        return seen & (steps < xs[1][:, :, None, None]) if len(xs) > 1 else seen

    # ------------------------------------------------------------------------------------------- operations

    def forward(self, site: Site) -> None:
        """A `dense` for queries, keys and values, one `attention`, and a `dense` of its result. What the way back needs
        is kept only where there is one."""
        d = self._detail(site)
        sums = site.save("sums", (d.steps, 3 * d.channels), batched=True)
        heads = site.save("heads", (d.steps, d.channels), batched=True)
        Dense(3 * d.channels).forward(_part(site, "input", y=sums))
        logs = (site.save("logs", (d.heads, d.steps), batched=True),) if site.pulled else ()
        site.op("attention", "forward", (sums, *site.x[1:]), (heads, *logs), d, self._work(d))
        Dense(d.channels).forward(_part(site, "output", x=(heads,)))

    def backward(self, site: Site) -> None:
        """The way back through both `dense`, and one `attention_gradient` between them."""
        d, sums, heads = self._detail(site), site.saved["sums"], site.saved["heads"]
        learns = site.gradient("weight_input") is not None
        needed = learns or site.dx[0] is not None
        slope = Tensor(f"{heads.name}_grad", heads.shape)
        Dense(d.channels).backward(_part(site, "output", x=(heads,), dx=(slope if needed else None,)))
        if needed:
            dsums = Tensor(f"{sums.name}_grad", sums.shape)
            reads = (slope, sums, heads, site.saved["logs"], *site.x[1:])
            site.op("attention_gradient", "backward", reads, (dsums,), d, 5 * self._work(d) // 2)
            Dense(3 * d.channels).backward(_part(site, "input", x=(site.x[0],), y=sums, dy=dsums, dx=site.dx[:1]))

    def _detail(self, site: Site) -> AttentionDetail:
        steps, channels = site.y.shape
        return AttentionDetail(steps, self.heads, channels // self.heads, self.causal, len(site.x) > 1)

    def _work(self, d: AttentionDetail) -> int:
        return 2 * d.channels * _pairs(d.steps, d.causal)


def _pairs(steps: int, causal: bool) -> int:
    """How many pairs of a query and a key that it sees there are."""
    return steps * (steps + 1) // 2 if causal else steps**2


def _part(site: Site, part: str, **changed: object) -> Site:
    """The site of one of both layers of weights."""

    def own(by_role: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: by_role[f"{name}_{part}"] for name in ("weight", "bias") if f"{name}_{part}" in by_role}

    inputs = {"x": site.x[:1], **changed}
    return replace(
        site,
        name=f"{site.name}_{part}",
        parameters=own(site.parameters),
        gradients=own(site.gradients),
        **inputs,  # type: ignore[arg-type]
    )
