"""attention: every step looks at the others and takes from each what it needs (notes: 'Attention model'; Vaswani et al.
2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dslc.bf16 import as_multiplied
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
    """Of an example with queries of `steps` steps, and keys and values of `keys` steps, each with `heads` heads of
    `size` numbers: a row of three times heads * size numbers has the queries of a step, its keys and its values; if
    they are `crossed` the queries are rows by themselves. `causal`: no step sees a later one. `masked`: keys from the
    length of an example on are not seen."""

    steps: int
    heads: int
    size: int
    causal: bool
    masked: bool
    keys: int
    crossed: bool

    @property
    def channels(self) -> int:
        """Numbers in a step of the result."""
        return self.heads * self.size


@dataclass(frozen=True)
class Attention(Layer):
    """Multi-head attention, as torch.nn.MultiheadAttention: queries, keys and values are x W_input^T + b_input,
    whose rows are those of PyTorch's in_proj_weight; each head computes softmax(q k^T / sqrt(size)) v, and the heads
    side by side, c, give c W_output^T + b_output. With a `memory` m queries are x W_query^T + b_query, keys and values
    m W_memory^T + b_memory. `causal`: no step sees a later one. `lengths`: steps, of the memory if there is one, from
    the length of an example on are not seen; where none is, the heads are 0. With `bf16`, which the checker sets for
    `precision mixed`, products with weights are in bf16, those of queries and keys, and of weights and values, are
    not."""

    heads: Count
    causal: Flag = False
    bias: Flag = True
    bf16: bool = False

    takes: ClassVar[tuple[str, ...]] = ("memory", "lengths")
    flows: ClassVar[tuple[str, ...]] = ("memory",)
    suits = "glorot"
    examples = (
        Example("attention(2)", ((7, 6),)),
        Example("attention(1, causal=on, bias=off)", ((19, 5),)),
        Example("attention(3)", ((9, 12), (1,))),
        Example("attention(2, causal=on)", ((140, 34), (1,))),
        Example("attention(2)", ((7, 6), (13, 5))),
        Example("attention(3, bias=off)", ((11, 12), (140, 9), (1,))),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for what is no sequence, if the heads do not divide the channels,
        for lengths that are not one number, and for `causal` with a memory."""
        require_sequence(inputs[0], "attention")
        crossed, lengths = _crossed(inputs), inputs[1:]
        if crossed:
            require_sequence(inputs[1], "the memory of attention")
            lengths = inputs[2:]
        if crossed and self.causal:
            raise SizeProblem(
                "causal is for steps that look at each other, and these look at a memory", argument="causal"
            )
        if inputs[0][1] % self.heads:
            fitting = -(-inputs[0][1] // self.heads) * self.heads
            raise SizeProblem(
                f"{inputs[0][1]} channels cannot be divided into {self.heads} heads", argument="heads",
                notes=(f"help: dense({fitting}) before it makes channels that fit",),
            )  # fmt: skip
        require_lengths(lengths)
        return inputs[0]

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """Heads and their size, and whether products with weights are in bf16."""
        return f"{self.heads} heads of {inputs[0][1] // self.heads}{', weights in bf16' if self.bf16 else ''}"

    def with_bf16(self) -> Attention:
        """The layer with its products with weights in bf16."""
        return replace(self, bf16=True)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight_input (3 channels, channels), the rows of queries, keys and values, weight_output (channels,
        channels), and their biases unless bias=off. With a memory weight_query (channels, channels) and weight_memory
        (2 channels, channels of the memory) in place of the first."""
        c = inputs[0][1]
        sizes = {"query": (c, c), "memory": (2 * c, inputs[1][1])} if _crossed(inputs) else {"input": (3 * c, c)}
        sizes["output"] = (c, c)
        weights = (
            Weights(f"weight_{part}", size, decays=True, fan_in=size[1], fan_out=c) for part, size in sizes.items()
        )
        biases = (Weights(f"bias_{part}", size[:1], "zeros") for part, size in sizes.items())
        return (*weights, *biases) if self.bias else tuple(weights)

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """Lengths go from 0 to the number of steps."""
        crossed = _crossed(inputs)
        return {len(inputs) - 1: (0, inputs[crossed][0])} if len(inputs) > 1 + crossed else {}

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """steps * 4 channels^2 for the weights, and for every query and key that it sees 2 channels. With a memory
        2 channels times its channels for each of its steps, and 2 channels^2 for the others."""
        steps, channels = inputs[0]
        if _crossed(inputs):
            keys, of_memory = inputs[1]
            return 2 * channels * (steps * channels + keys * of_memory + steps * keys)
        return 4 * steps * channels**2 + 2 * channels * _pairs(steps, self.causal)

    # ------------------------------------------------------------------------------------------- reference

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """With a = softmax(q k^T / sqrt(size)) over the keys that are seen: c = a v, and on the way back dv = a^T dc,
        ds = a (dc v^T - sum(dc c)), dq = ds k / sqrt(size), dk = ds^T q / sqrt(size). With `bf16` weights and what they
        are multiplied with are rounded."""
        x = xs[0]
        weights = {name: as_multiplied(w, self.bf16) for name, w in p.items() if name.startswith("weight")}
        n, _, channels = x.shape
        root = np.sqrt(channels // self.heads)
        given = {"query": x, "memory": xs[1]} if _crossed(tuple(a.shape[1:] for a in xs)) else {"input": x}
        sources = {part: as_multiplied(of, self.bf16) for part, of in given.items()}
        sums = {part: of @ weights[f"weight_{part}"].T + p.get(f"bias_{part}", 0) for part, of in sources.items()}

        def of_heads(rows: Array) -> Array:
            """(n, steps, several * channels) as several arrays (n, heads, steps, size)."""
            return rows.reshape(n, rows.shape[1], -1, self.heads, channels // self.heads).transpose(2, 0, 3, 1, 4)

        q, k, v = (array for rows in sums.values() for array in of_heads(rows))
        seen = self._seen(xs, k.shape[2])
        scores = np.where(seen, q @ k.swapaxes(2, 3) / root, -np.inf)
        largest = scores.max(axis=-1, keepdims=True)
        e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
        a = e / np.maximum(e.sum(axis=-1, keepdims=True), np.finfo(x.dtype).tiny)
        heads = a @ v
        c = as_multiplied(heads.swapaxes(1, 2).reshape(x.shape), self.bf16)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            db, dy = dy.sum(axis=(0, 1)), as_multiplied(dy, self.bf16)
            (dc,) = of_heads(dy @ weights["weight_output"])
            ds = a * (dc @ v.swapaxes(2, 3) - (dc * heads).sum(axis=-1, keepdims=True)) / root
            parts = [ds @ k, ds.swapaxes(2, 3) @ q, a.swapaxes(2, 3) @ dc]
            gradients = {"weight_output": np.tensordot(dy, c, ([0, 1], [0, 1])), "bias_output": db}
            dxs = []
            for part, source in sources.items():
                own = np.stack([parts.pop(0) for _ in range(sums[part].shape[2] // channels)])
                dsums = own.transpose(1, 3, 0, 2, 4).reshape(sums[part].shape)
                gradients[f"bias_{part}"] = dsums.sum(axis=(0, 1))
                dsums = as_multiplied(dsums, self.bf16)
                gradients[f"weight_{part}"] = np.tensordot(dsums, source, ([0, 1], [0, 1]))
                dxs.append(dsums @ weights[f"weight_{part}"])
            return (*dxs, *(np.zeros_like(other) for other in xs[len(dxs) :])), gradients

        return Reference(c @ weights["weight_output"].T + p.get("bias_output", 0), pull)

    def _seen(self, xs: tuple[Array, ...], keys: int) -> Array:
        """Whether a query sees a key: (n or 1, 1, queries, keys)."""
        queries, steps = np.arange(xs[0].shape[1])[:, None], np.arange(keys)
        seen = (steps <= queries if self.causal else steps + 0 * queries < keys)[None, None]
        return seen & (steps < xs[-1][:, :, None, None]) if xs[-1].ndim == 2 else seen

    # ------------------------------------------------------------------------------------------- operations

    def forward(self, site: Site) -> None:
        """A `dense` for queries, keys and values, one `attention`, and a `dense` of its result. What the way back needs
        is kept only where there is one."""
        d = self._detail(site)
        sums = []
        for part, x, count in _sources(site, d):
            sums.append(site.save(f"{part}_sums", (x.shape[0], count * d.channels), batched=True))
            Dense(count * d.channels, bf16=self.bf16).forward(_part(site, part, x=(x,), y=sums[-1]))
        heads = site.save("heads", (d.steps, d.channels), batched=True)
        logs = (site.save("logs", (d.heads, d.steps), batched=True),) if site.pulled else ()
        site.op("attention", "forward", (*sums, *_lengths(site, d)), (heads, *logs), d, self._work(d))
        Dense(d.channels, bf16=self.bf16).forward(_part(site, "output", x=(heads,)))

    def backward(self, site: Site) -> None:
        """The way back through both `dense`, and one `attention_gradient` between them."""
        d, heads = self._detail(site), site.saved["heads"]
        sources = _sources(site, d)
        sums = [site.saved[f"{part}_sums"] for part, _, _ in sources]
        learns = any(site.gradient(f"weight_{part}") is not None for part, _, _ in sources)
        needed = learns or any(dx is not None for dx in site.dx)
        slope = Tensor(f"{heads.name}_grad", heads.shape)
        output = Dense(d.channels, bf16=self.bf16)
        output.backward(_part(site, "output", x=(heads,), dx=(slope if needed else None,)))
        if needed:
            slopes = [Tensor(f"{tensor.name}_grad", tensor.shape) for tensor in sums]
            reads = (slope, *sums, heads, site.saved["logs"], *_lengths(site, d))
            site.op("attention_gradient", "backward", reads, tuple(slopes), d, 5 * self._work(d) // 2)
            for (part, x, count), y, dy, dx in zip(sources, sums, slopes, site.dx, strict=False):
                dense = Dense(count * d.channels, bf16=self.bf16)
                dense.backward(_part(site, part, x=(x,), y=y, dy=dy, dx=(dx,)))

    def _detail(self, site: Site) -> AttentionDetail:
        steps, channels = site.y.shape
        crossed = _crossed(site.input_shapes)
        masked, keys = len(site.x) > 1 + crossed, site.x[crossed].shape[0]
        return AttentionDetail(steps, self.heads, channels // self.heads, self.causal, masked, keys, crossed)

    def _work(self, d: AttentionDetail) -> int:
        return 2 * d.channels * (d.steps * d.keys if d.crossed else _pairs(d.steps, d.causal))


def _crossed(inputs: tuple[Shape, ...]) -> bool:
    """Whether the second value is a memory, and not lengths."""
    return len(inputs) > 2 or (len(inputs) == 2 and len(inputs[1]) > 1)


def _sources(site: Site, d: AttentionDetail) -> list[tuple[str, Tensor, int]]:
    """What queries, keys and values come from: the name of the weights, the value, and how many of the three."""
    if d.crossed:
        return [("query", site.x[0], 1), ("memory", site.x[1], 2)]
    return [("input", site.x[0], 3)]


def _lengths(site: Site, d: AttentionDetail) -> tuple[Tensor, ...]:
    return site.x[-1:] if d.masked else ()


def _pairs(steps: int, causal: bool) -> int:
    """How many pairs of a query and a key that it sees there are."""
    return steps * (steps + 1) // 2 if causal else steps**2


def _part(site: Site, part: str, **changed: object) -> Site:
    """The site of one of both layers of weights."""

    def own(by_role: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: by_role[f"{name}_{part}"] for name in ("weight", "bias") if f"{name}_{part}" in by_role}

    return replace(
        site,
        name=f"{site.name}_{part}",
        parameters=own(site.parameters),
        gradients=own(site.gradients),
        **changed,  # type: ignore[arg-type]
    )
