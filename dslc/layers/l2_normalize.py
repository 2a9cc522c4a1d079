"""l2_normalize: every row has length 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.layers import Example, Mode, Reference
from dslc.layers._row_norm import RowNorm, RowNormDetail
from dslc.numerics import Array, np


@dataclass(frozen=True)
class L2Normalize(RowNorm):
    """x / max(norm of x, eps) over the last axis: of an image over the channels of each pixel, of a vector over all
    numbers, as torch.nn.functional.normalize over the channels."""

    eps: Positive = 1e-12

    examples = (
        Example("l2_normalize", ((7,),)),
        Example("l2_normalize(eps=2)", ((3, 5, 9),)),
        Example("l2_normalize", ((130,),)),
        Example("l2_normalize", ((2, 3, 70),)),
    )
    smooth = False

    def detail(self) -> RowNormDetail:
        """1 / max(norm, eps)."""
        return RowNormDetail(self.eps, mean=False)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x / r with r = max(sqrt(sum of x^2), eps) over the last axis; dx = (dy - y * sum(dy * y)) / r, and
        dy / eps where the norm is at most eps."""
        norm = np.sqrt((xs[0] ** 2).sum(axis=-1, keepdims=True))
        size = np.maximum(norm, self.eps)
        y = xs[0] / size

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            along = np.where(norm <= self.eps, 0, (dy * y).sum(axis=-1, keepdims=True))
            return ((dy - y * along) / size,), {}

        return Reference(y, pull)
