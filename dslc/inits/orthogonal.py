"""orthogonal: orthonormal rows (or columns) (Saxe et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Orthogonal(Init):
    """Orthonormal rows, or columns if there are more rows than columns (Saxe et al. 2014). Filters count as one column
    each."""

    elementwise: ClassVar[bool] = False

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Q of the QR decomposition of a normal matrix, its signs fixed so that every orthogonal matrix is equally
        likely."""
        rows, columns = (
            (shape[0], int(np.prod(shape[1:]))) if len(shape) == 2 else (int(np.prod(shape[:-1])), shape[-1])
        )
        tall = rows >= columns
        q, r = np.linalg.qr(random.standard_normal((rows, columns) if tall else (columns, rows)))
        q = q * np.sign(np.diag(r))
        return (q if tall else q.T).reshape(shape)
