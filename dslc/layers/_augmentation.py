"""For augmentation layers: they change examples at random in training and leave them unchanged at prediction."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.layers import Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.philox import random_words
from dslc.registry import name_of
from dslc.shape import Shape, SizeProblem, describe


class Augmentation(Layer):
    """A different version of every example in every training step (notes: 'Data augmentation'), the example itself at
    prediction. It comes before every layer that learns, so no gradient flows through it."""

    augments = True

    @property
    def off(self) -> bool:
        """It leaves examples as they are in training too, as in `noise(0)`."""
        return False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input; `crop` makes it smaller."""
        return inputs[0]

    def augmented(self, x: Array, mode: Mode) -> Array:
        """x (n, *input) as training sees it, drawn by seed, step and stream of `mode`."""
        raise NotImplementedError

    def unchanged(self, x: Array) -> Array:
        """x (n, *input) as prediction sees it."""
        return x

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """The gradient is NaN: nothing may use it."""
        x = xs[0]
        y = self.augmented(x, mode) if mode.training else self.unchanged(x)
        return Reference(y, lambda dy: ((np.full_like(x, np.nan),), {}))

    def forward(self, site: Site) -> None:
        """In training the operation named after the layer, with its random stream; else, and if it is off, what
        `predict` emits."""
        if site.training and not self.off:
            site.op(name_of(self), "forward", site.x, (site.y,), self.detail(site.x[0].shape, site.index))
        else:
            self.predict(site)

    def predict(self, site: Site) -> None:
        """Emits the operations for prediction: one `identity`."""
        site.op("identity", "forward", site.x, (site.y,))

    def detail(self, shape: Shape, stream: int) -> object:
        """What the training kernel needs to know: the shape of an example and the layer's random stream."""
        raise NotImplementedError

    def backward(self, site: Site) -> None:
        """Emits nothing: no layer before it learns."""


class ImageAugmentation(Augmentation):
    """An augmentation that draws a few numbers for each image."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem if that is not an image."""
        if len(inputs[0]) != 3:
            raise SizeProblem(
                f"{name_of(self)} needs an image, but its input is {describe(inputs[0])}",
                notes=("help: declare the input as HxWxC and put flatten after the augmentation",),
            )
        return inputs[0]


def example_words(count: int, mode: Mode) -> Array:
    """(count, 4) random words (uint32): example i of a mini-batch has block i of the layer's stream to itself."""
    return random_words(4 * count, mode.seed, mode.step, mode.stream).reshape(count, 4)


def below(words: Array, limit: int) -> Array:
    """Words mapped to whole numbers from 0 to limit - 1 by their high product (Lemire 2019); the bias is at most limit
    / 2^32."""
    return (words.astype(np.uint64) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)
