"""Winograd's transforms with the rounding of compiled C, whose products are fused with additions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from dslc.export.arithmetic import Arithmetic
from dslc.numerics import Array, np
from dslc.winograd import Matrix, sums


@dataclass(frozen=True)
class _Product:
    """coefficient * value, where a value is named by a number."""

    coefficient: Fraction
    value: int


@dataclass(frozen=True)
class _Addition:
    """left + sign * right."""

    left: int
    right: int
    sign: int


class _Program:
    """The statements of a matrix in static single assignment: values are numbered, the elements of x first."""

    def __init__(self, matrix: Matrix) -> None:
        self.steps: list[_Product | _Addition] = []
        self.inputs = len(matrix[0])
        named = {f"x[{j}]": j for j in range(self.inputs)}
        for target, terms, factor in sums(matrix):
            (coefficient, name), *rest = terms
            total = self._product(coefficient, named[name])
            for coefficient, name in rest:
                sign = 1 if coefficient > 0 else -1
                total = self._add(_Addition(total, self._product(abs(coefficient), named[name]), sign))
            named[target] = self._product(factor, total)
        self.results = [named[f"y[{i}]"] for i in range(len(matrix))]

    def _product(self, coefficient: Fraction, value: int) -> int:
        return value if coefficient == 1 else self._add(_Product(coefficient, value))

    def _add(self, step: _Product | _Addition) -> int:
        self.steps.append(step)
        return self.inputs + len(self.steps) - 1

    def contracted(self) -> dict[int, int]:
        """The product that each addition is fused with, by value: in the order of the products, each into all its uses,
        if all are additions that are not fused yet. GCC contracts so; a sign is no product."""
        uses: dict[int, list[int]] = defaultdict(list)
        for at, step in enumerate(self.steps, self.inputs):
            for value in (step.value,) if isinstance(step, _Product) else (step.left, step.right):
                uses[value].append(at)
        fused: dict[int, int] = {}
        for at, step in enumerate(self.steps, self.inputs):
            if not isinstance(step, _Product) or abs(step.coefficient) == 1 or at in self.results:
                continue
            if all(isinstance(self.steps[u - self.inputs], _Addition) and u not in fused for u in uses[at]):
                fused.update(dict.fromkeys(uses[at], at))
        return fused

    def run(self, x: list[Array], arithmetic: Arithmetic) -> list[Array]:
        """The results for arrays of one shape."""
        fused, values = self.contracted(), list(x)
        for at, step in enumerate(self.steps, self.inputs):
            if isinstance(step, _Product):
                values.append(arithmetic.number(float(step.coefficient)) * values[step.value])
            elif at in fused:
                values.append(self._fused(step, fused[at], values, arithmetic))
            else:
                values.append(values[step.left] + step.sign * values[step.right])
        return [values[value] for value in self.results]

    def _fused(self, addition: _Addition, at: int, values: list[Array], arithmetic: Arithmetic) -> Array:
        product = self.steps[at - self.inputs]
        assert isinstance(product, _Product)
        coefficient = arithmetic.number(float(product.coefficient))
        if addition.left == at:
            return arithmetic.multiply_add(coefficient, values[product.value], addition.sign * values[addition.right])
        return arithmetic.multiply_add(addition.sign * coefficient, values[product.value], values[addition.left])


def transformed(matrix: Matrix, x: list[Array], arithmetic: Arithmetic) -> list[Array]:
    """y[i] = sum of matrix[i][j] x[j] for arrays of one shape, as the C of `winograd.statements` computes it."""
    return _Program(matrix).run([np.asarray(array, arithmetic.dtype) for array in x], arithmetic)
