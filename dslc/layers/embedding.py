"""embedding: every word of a text becomes a learned vector (notes: 'Word embeddings')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Count, Whole
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._embedding import EmbeddingDetail, Part
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, describe

MOST_WORDS = 2**24
"""Up to here float32 holds every whole number."""


@dataclass(frozen=True)
class Embedding(Layer):
    """y[t] = W[x[t]], where x holds numbers of words from 0 to words - 1; the word `padding` becomes zeros, and learns
    nothing, as the padding_idx of PyTorch."""

    words: Annotated[int, Whole(1, MOST_WORDS)]
    size: Count
    padding: Annotated[int | None, Whole(0, MOST_WORDS)] = None

    examples = (Example("embedding(5, 3)", ((7,),)), Example("embedding(4, 17, padding=1)", ((3,),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(steps,) becomes (steps, size). Raises SizeProblem for what is no vector, and for a `padding` that is no
        word."""
        if len(inputs[0]) != 1:
            raise SizeProblem(
                f"embedding needs the numbers of words, one a step, but its input is {describe(inputs[0])}",
                notes=("help: declare the input by the number of steps, as in input text: 200",),
            )
        if self.padding is not None and self.padding >= self.words:
            raise SizeProblem(
                f"padding is a word, and those are numbered from 0 to {self.words - 1}", argument="padding"
            )
        return (inputs[0][0], self.size)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size of the table."""
        return f"{self.words} x {self.size}"

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """From 0 to words - 1."""
        return {0: (0, self.words - 1)}

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (words, size), at first from N(0, 1) as in PyTorch, unless the layer has an init of its own."""
        return (Weights("weight", (self.words, self.size), "xavier", fan_in=1, usual=True),)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[i, t] = W[x[i, t]]; dW[v] = sum of dy[i, t] over all places where the word is v."""
        words = xs[0].astype(int)
        there = (words != self.padding)[..., None]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dw = np.zeros_like(p["weight"])
            np.add.at(dw, words, np.where(there, dy, 0))
            return (np.zeros_like(xs[0]),), {"weight": dw}

        return Reference(np.where(there, p["weight"][words], 0), pull)

    def forward(self, site: Site) -> None:
        """One `embedding`."""
        site.op("embedding", "forward", (site.x[0], site.parameter("weight")), (site.y,), self._detail(site))

    def backward(self, site: Site) -> None:
        """dW by `embedding_gradient`; only the input comes before."""
        if (dw := site.gradient("weight")) is not None:
            site.op("embedding_gradient", "backward", (site.x[0], site.dy), (dw,), self._detail(site))

    def _detail(self, site: Site) -> EmbeddingDetail:
        part = Part(0, 0, self.size, self.words, padding=self.padding)
        return EmbeddingDetail((part,), 1, self.size, site.x[0].elements)
