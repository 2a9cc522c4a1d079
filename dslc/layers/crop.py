"""crop: a part of each image (notes: 'Data augmentation'; Krizhevsky et al. 2012, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Size
from dslc.layers import Example, Mode
from dslc.layers._augmentation import ImageAugmentation, below, example_words
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class CropDetail:
    """An image of `shape` is cut down to rows x columns. The image's first two random words say where it starts; at
    prediction, without a `stream`, the center is cut out."""

    shape: Shape
    size: tuple[int, int]
    stream: int | None = None

    @property
    def places(self) -> tuple[int, int]:
        """How many rows and columns it can start at."""
        return self.shape[0] - self.size[0] + 1, self.shape[1] - self.size[1] + 1


@dataclass(frozen=True)
class Crop(ImageAugmentation):
    """In training a part of each image, all positions equally likely; at prediction the center."""

    size: Size

    examples = (
        Example("crop(3x4)", ((5, 7, 3),)),
        Example("crop(3)", ((6, 3, 1),)),
        Example("crop(2x5)", ((2, 6, 2),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (size_h, size_w, c). Raises SizeProblem if the part is larger than the image, or the whole
        image."""
        height, width, channels = super().infer(inputs)
        given = f"{height}x{width}"
        if self.size[0] > height or self.size[1] > width:
            raise SizeProblem(f"a crop of {self.size[0]}x{self.size[1]} does not fit into {given}", argument="size")
        if self.size == (height, width):
            raise SizeProblem(
                f"crop to {given} leaves {given} images unchanged",
                notes=("help: give a smaller size; to move images within their frame use shift",),
                argument="size",
            )
        return *self.size, channels

    def augmented(self, x: Array, mode: Mode) -> Array:
        """x[i, top : top + size_h, left : left + size_w] with top and left drawn for each image."""
        words = example_words(len(x), mode)
        tops, lefts = (below(words[:, i], n) for i, n in enumerate(CropDetail(x.shape[1:], self.size).places))
        return np.stack([self._part(*drawn) for drawn in zip(x, tops, lefts, strict=True)])

    def unchanged(self, x: Array) -> Array:
        """The center; if what is cut off is odd, the smaller half is above or on the left."""
        top, left = (x.shape[1] - self.size[0]) // 2, (x.shape[2] - self.size[1]) // 2
        return np.stack([self._part(image, top, left) for image in x])

    def _part(self, image: Array, top: int, left: int) -> Array:
        return image[top : top + self.size[0], left : left + self.size[1]]

    def detail(self, shape: Shape, stream: int) -> CropDetail:
        """Sizes and random stream for training."""
        return CropDetail(shape, self.size, stream)

    def predict(self, site: Site) -> None:
        """Emits a `crop` without a stream, which cuts out the center."""
        site.op("crop", "forward", site.x, (site.y,), CropDetail(site.x[0].shape, self.size))
