"""What augmentation layers share: they change examples at random in training and leave predictions alone."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.layers import Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.philox import random_words
from dslc.registry import name_of
from dslc.shape import Shape, SizeProblem


class Augmentation(Layer):
    """Another version of every example in every step of training (notes: 'Data augmentation'), the example itself at
    prediction. It stands before everything that learns, so that no gradient flows through it."""

    augments = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def augmented(self, x: Array, mode: Mode) -> Array:
        """x (n, *input) as training sees it."""
        raise NotImplementedError

    def unchanged(self, x: Array) -> Array:
        """x (n, *input) as prediction sees it."""
        return x

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """Its gradient is not a number: nobody may use it."""
        x = xs[0]
        y = self.augmented(x, mode) if mode.training else self.unchanged(x)
        return Reference(y, lambda dy: ((np.full_like(x, np.nan),), {}))

    def forward(self, site: Site) -> None:
        if site.training:
            site.op(name_of(self), "forward", site.x, (site.y,), self.detail(site.x[0].shape, site.index))
        else:
            self.predict(site)

    def predict(self, site: Site) -> None:
        """The operations at prediction."""
        site.op("identity", "forward", site.x, (site.y,))

    def detail(self, shape: Shape, stream: int) -> object:
        """What the kernel in training needs to know of examples of this shape and of the layer's random numbers."""
        raise NotImplementedError

    def backward(self, site: Site) -> None:
        """Nothing: before it nothing learns."""


class ImageAugmentation(Augmentation):
    """Draws a few numbers for each image."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        if len(inputs[0]) != 3:
            raise SizeProblem(
                f"{name_of(self)} needs an image, and the input is a vector of {inputs[0][0]} features",
                notes=("help: declare the input as HxWxC and put flatten behind the augmentation",),
            )
        return inputs[0]


def example_words(count: int, mode: Mode) -> Array:
    """(count, 4) random words: example i of a mini-batch has block i of the layer's stream to itself."""
    return random_words(4 * count, mode.seed, mode.step, mode.stream).reshape(count, 4)


def below(words: Array, limit: int) -> Array:
    """Words as whole numbers from 0 to below `limit`, by Lemire's product (2019): uneven by limit / 2^32 at most."""
    return (words.astype(np.uint64) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)
