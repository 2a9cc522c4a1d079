"""Embeddings of the categories of a table: a learned row for each value. The checker puts the layer behind an input
that declares some; it has no name in the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class Part:
    """Numbers of the input that stand together, from `start` on, and of the output, from `out` on. Without `values`
    they are copied, `size` of them. With some it is one number, the code of a value, which becomes the row of that
    number, `size` numbers, of the table of a `column`; the code `padding` stands for no value."""

    start: int
    out: int
    size: int
    values: int = 0
    column: str = ""
    padding: int | None = None

    @property
    def role(self) -> str:
        """The parameter that is the table."""
        return f"{self.column}.weight"


@dataclass(frozen=True)
class EmbeddingDetail:
    """The part or parts that a kernel is for, and the numbers in a row before and behind; an example has `rows`."""

    parts: tuple[Part, ...]
    inputs: int
    outputs: int
    rows: int = 1


@dataclass(frozen=True)
class Embedding(Layer):
    """y = (x, W[code], ...) part by part, as torch.nn.Embedding has it; a code that no row has, such as -1 for an
    unknown value, becomes zeros. Of a code that is no whole number the whole part counts."""

    parts: tuple[Part, ...]

    @property
    def learned(self) -> tuple[Part, ...]:
        """The parts that are rows of a parameter."""
        return tuple(part for part in self.parts if part.values)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The numbers of all parts."""
        return (sum(part.size for part in self.parts),)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The sizes of the tables."""
        return ", ".join(f"{part.column} {part.values} x {part.size}" for part in self.learned)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """A table (values, size) for each embedded column, its numbers from N(0, 1) at first, about as large as
        standardized ones."""
        return tuple(Weights(part.role, (part.values, part.size), "xavier", fan_in=1) for part in self.learned)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[i] = W[code[i]]; dW[v] = sum of dy[i] over the examples i of which the code is v."""
        x = xs[0]

        def of(part: Part) -> Array:
            if not part.values:
                return x[:, part.start : part.start + part.size]
            return self._one_hot(part, x) @ p[part.role]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            rows = {q.role: self._one_hot(q, x).T @ dy[:, q.out : q.out + q.size] for q in self.learned}
            return (np.zeros_like(x),), rows

        return Reference(np.concatenate([of(part) for part in self.parts], axis=1), pull)

    def _one_hot(self, part: Part, x: Array) -> Array:
        found: Array = (np.floor(x[:, part.start, None]) == np.arange(part.values)).astype(x.dtype)
        return found

    def _detail(self, site: Site, *parts: Part) -> EmbeddingDetail:
        return EmbeddingDetail(parts, site.x[0].elements, site.y.elements)

    def forward(self, site: Site) -> None:
        """One `embedding` for all parts."""
        tables = tuple(site.parameter(part.role) for part in self.learned)
        site.op("embedding", "forward", (*site.x, *tables), (site.y,), self._detail(site, *self.parts))

    def backward(self, site: Site) -> None:
        """dW of each table by `embedding_gradient`; only the input comes before."""
        for part in self.learned:
            dw, dy = site.gradient(part.role), site.dy
            if dw is not None:
                job, reads = f"backward_{part.column}", (site.x[0], dy)
                site.op("embedding_gradient", job, reads, (dw,), self._detail(site, part))
