"""matmul: the matrix product of two values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import OneOf
from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import Tensor
from dslc.shape import Shape, SizeProblem, describe, show_shape


@dataclass(frozen=True)
class MatMulDetail:
    """`matrices` products, each of `rows` x `summed` and `summed` x `columns` numbers, for each example. A value that
    is `turned` is stored the other way, with its columns as rows."""

    matrices: int
    rows: int
    summed: int
    columns: int
    turned: tuple[bool, bool]


@dataclass(frozen=True)
class MatMul(Layer):
    """y = a b, where a sequence of T x C is a matrix of T rows and C columns, and an image of H x W x C is H matrices
    of W x C, as in torch.matmul. `transpose` says which of both is transposed before."""

    transpose: Annotated[str, OneOf(("none", "first", "second", "both"))] = "none"

    merges = True
    examples = (
        Example("matmul", ((5, 3), (3, 4))),
        Example("matmul(transpose=second)", ((7, 130), (19, 130))),
        Example("matmul(transpose=first)", ((3, 6, 5), (3, 6, 17))),
        Example("matmul(transpose=both)", ((4, 9), (3, 4))),
    )

    @property
    def turned(self) -> tuple[bool, bool]:
        """Which of both values are transposed."""
        return self.transpose in ("first", "both"), self.transpose in ("second", "both")

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(rows of a, columns of b), for every matrix. Raises SizeProblem unless these are two values of the same
        number of matrices whose inner sizes agree."""
        if len(inputs) != 2:
            raise SizeProblem(f"matmul takes two values, not {len(inputs)}")
        for shape in inputs:
            if len(shape) == 1:
                raise SizeProblem(
                    f"matmul needs matrices, but one of its values is {describe(shape)}",
                    notes=(f"help: reshape(1x{shape[0]}) makes a matrix of one row",),
                )
        if inputs[0][:-2] != inputs[1][:-2]:
            listed = " and ".join(map(show_shape, inputs))
            raise SizeProblem(f"matmul needs as many matrices on both sides, not {listed}")
        (rows, inner), (other, columns) = (_turned(s[-2:], t) for s, t in zip(inputs, self.turned, strict=True))
        if inner != other:
            raise SizeProblem(
                f"{rows}x{inner} times {other}x{columns}: the columns of the first must be as many as the rows of the "
                "second",
                notes=("help: transpose=first, second or both transposes them before",),
            )
        return (*inputs[0][:-2], rows, columns)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """rows * columns * the numbers in each sum, for every matrix."""
        return self._work(self._detail(inputs))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a @ b; da = dy @ b^T, db = a^T @ dy, transposed back where a or b is."""
        turned = self.turned
        a, b = (x.swapaxes(-1, -2) if t else x for x, t in zip(xs, turned, strict=True))

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            slopes = (dy @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ dy)
            return tuple(g.swapaxes(-1, -2) if t else g for g, t in zip(slopes, turned, strict=True)), {}

        return Reference(a @ b, pull)

    def forward(self, site: Site) -> None:
        """One `matmul`."""
        d = self._detail(site.input_shapes)
        site.op("matmul", "forward", site.x, (site.y,), d, self._work(d))

    def backward(self, site: Site) -> None:
        """A `matmul` for each value: dy b^T or its transpose b dy^T, and a^T dy or dy^T a."""
        d, (first, second) = self._detail(site.input_shapes), self.turned
        a, b = site.x
        da, db = site.dx
        if da is not None:
            reads, turned = ((b, site.dy), (second, True)) if first else ((site.dy, b), (False, not second))
            self._back(site, "backward_1", reads, da, (d.rows, d.columns, d.summed), turned)
        if db is not None:
            reads, turned = ((site.dy, a), (True, first)) if second else ((a, site.dy), (not first, False))
            self._back(site, "backward_2", reads, db, (d.summed, d.rows, d.columns), turned)

    def _back(
        self,
        site: Site,
        job: str,
        reads: tuple[Tensor | None, ...],
        result: Tensor,
        sizes: tuple[int, int, int],
        turned: tuple[bool, bool],
    ) -> None:
        """One product for a gradient, of rows, numbers in a sum and columns as they are where the value itself is not
        transposed."""
        rows, summed, columns = sizes
        if result.shape[-2:] != (rows, columns):
            rows, columns = columns, rows
        d = MatMulDetail(self._detail(site.input_shapes).matrices, rows, summed, columns, turned)
        site.op("matmul", job, reads, (result,), d, self._work(d))

    def _detail(self, inputs: tuple[Shape, ...]) -> MatMulDetail:
        shape = self.infer(inputs)
        summed = inputs[0][-2 if self.turned[0] else -1]
        return MatMulDetail(shape[0] if len(shape) == 3 else 1, shape[-2], summed, shape[-1], self.turned)

    def _work(self, d: MatMulDetail) -> int:
        return d.matrices * d.rows * d.summed * d.columns


def _turned(shape: Shape, turned: bool) -> Shape:
    return shape[::-1] if turned else shape
