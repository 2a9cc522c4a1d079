"""Winograd's minimal filtering F(m, r): m outputs of a filter with r taps from m + r - 1 multiplications.

    y = A^T [(G g) * (B^T d)]            one row of outputs
    Y = A^T [(G g G^T) * (B^T d B)] A    a tile of m x m outputs
    dg = G^T [(A dy) * (B^T d)]          the gradient of the filter, by the same matrices

Winograd, 'Arithmetic complexity of computations' (1980); Lavin and Gray, 'Fast algorithms for convolutional neural
networks' (CVPR 2016). The matrices are those of Toom and Cook, whose algorithm multiplies two polynomials by their
values at m + r - 2 points and infinity; its transpose filters. They are exact here; `statements` prints C.

Rounding errors of float32 in a 2-D tile, from these statements on normally distributed data: the largest error over the
largest output, for outputs as a sum over 256 channels and for the filter's gradient as a sum over 256 tiles. Most of it
arises in that sum and is then amplified by A^T and G^T, so that a sum of sums of 32 loses half as much or less:

                                outputs  in blocks  gradient  in blocks
    F(2, 3)  0, ±1              6.2e-07    2.4e-07   6.0e-07    2.2e-07
    F(4, 3)  0, ±5/8, ±3/2      2.9e-06    9.8e-07   2.1e-06    9.2e-07
             0, ±1, ±2          9.6e-06    3.3e-06   7.7e-06    2.8e-06
    F(5, 3)  0, ±5/8, ±1, 11/4  9.0e-06    3.4e-06   5.9e-06    2.7e-06
    F(2, 5)  0, ±3/4, ±3/2      2.4e-06    8.0e-07   3.5e-06    1.3e-06
             0, ±1, ±2          6.4e-06    2.6e-06   1.2e-05    5.9e-06
    F(4, 5)  0, ±1/2, ±1, ±7/4  1.4e-05    4.3e-06   1.3e-05    5.9e-06
             0, ±1/2, ±1, ±2    1.2e-05    4.8e-06   1.2e-05    5.5e-06

`python -m pytest -rP tests/test_winograd.py -k error` measures this again. Lavin and Gray use the points 0, ±1, ±2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import prod

Matrix = tuple[tuple[Fraction, ...], ...]
Term = tuple[Fraction, str]
"""A coefficient and the C name of a vector."""

ZERO, ONE = Fraction(0), Fraction(1)

POINTS = {
    (2, 3): "0 1 -1",
    (4, 3): "0 5/8 -5/8 3/2 -3/2",
    (5, 3): "0 5/8 -5/8 1 -1 11/4",
    (2, 5): "0 3/4 -3/4 3/2 -3/2",
    (4, 5): "0 1/2 -1/2 1 -1 7/4 -7/4",
}
"""(outputs, taps): the finite points. Their powers and products are exact in float32, so only G is rounded."""


@dataclass(frozen=True)
class Winograd:
    """F(outputs, taps): y (m) = A^T [(G g) * (B^T d)] for m + r - 1 inputs d. A correlation: g is not flipped."""

    outputs: int
    taps: int
    points: tuple[Fraction, ...]
    """m + r - 2 finite points; infinity is the last."""

    def __post_init__(self) -> None:
        if self.outputs < 1 or self.taps < 1:
            raise ValueError(f"F({self.outputs}, {self.taps}) has no outputs or no taps")
        if len(self.points) != self.size - 1:
            needs = f"F({self.outputs}, {self.taps}) needs {self.size - 1} finite points"
            raise ValueError(f"{needs}, and here are {len(self.points)}")
        if len(set(self.points)) != len(self.points):
            raise ValueError(f"a point occurs twice in {', '.join(map(str, self.points))}")

    @property
    def size(self) -> int:
        """Inputs for a row of outputs, which is also the number of multiplications."""
        return self.outputs + self.taps - 1

    @cached_property
    def input(self) -> Matrix:
        """B^T (size x size). Row i holds the coefficients of the product of (x - p) over all other points p.

        This is Lagrange's polynomial of point i without its denominator, whose sign stays here and whose magnitude goes
        to G. So each row keeps a coefficient of ±1 and moderate others. With the denominators in B^T or A^T the error
        changes by less than a tenth, and moving a power of two from row to row does not change what is rounded.
        """
        rows = [_with_roots(self._others(p), sign=1 if self._denominator(p) > 0 else -1) for p in self.points]
        return (*((*row, ZERO) for row in rows), _with_roots(self.points))

    @cached_property
    def filter(self) -> Matrix:
        """G (size x r): powers of the points over the magnitude of Lagrange's denominator."""
        rows = (tuple(power / abs(self._denominator(p)) for power in _powers(p, self.taps)) for p in self.points)
        return (*rows, _at_infinity(self.taps))

    @cached_property
    def output(self) -> Matrix:
        """A^T (m x size): powers of the points."""
        return transposed((*(_powers(p, self.outputs) for p in self.points), _at_infinity(self.outputs)))

    def _others(self, point: Fraction) -> list[Fraction]:
        return [p for p in self.points if p != point]

    def _denominator(self, point: Fraction) -> Fraction:
        return prod((point - p for p in self._others(point)), start=ONE)


@cache
def winograd(outputs: int, taps: int) -> Winograd:
    """F(outputs, taps) with the points of `POINTS`.

    Raises:
        KeyError: `POINTS` has none for these sizes.
    """
    return Winograd(outputs, taps, tuple(map(Fraction, POINTS[outputs, taps].split())))


def suits(size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], groups: int) -> bool:
    """Whether the algorithm computes such convolutions: square filters of a known size that take every pixel."""
    known = {taps for _, taps in POINTS}
    return size[0] == size[1] in known and stride == dilation == (1, 1) and groups == 1


def transposed(matrix: Matrix) -> Matrix:
    """The matrix with rows and columns swapped."""
    return tuple(zip(*matrix, strict=True))


def _powers(point: Fraction, count: int) -> tuple[Fraction, ...]:
    return tuple(point**i for i in range(count))


def _at_infinity(count: int) -> tuple[Fraction, ...]:
    """A polynomial's value at infinity is its leading coefficient."""
    return (*(ZERO,) * (count - 1), ONE)


def _with_roots(roots: Iterable[Fraction], sign: int = 1) -> tuple[Fraction, ...]:
    """Coefficients of sign * product of (x - root), the constant first."""
    result = [Fraction(sign)]
    for root in roots:
        result = [lower - root * same for lower, same in zip([ZERO, *result], [*result, ZERO], strict=True)]
    return tuple(result)


def statements(matrix: Matrix, source: str, result: str) -> list[str]:
    """C lines for `result[i] = sum of matrix[i][j] * source[j]` over vectors of type `vec`; the two must not overlap.

    Points come in pairs ±p, so rows or columns come in pairs that agree except for signs: their common parts are
    computed once. These temporaries are called even1, odd1, sum1, difference1, ..., so each call needs a C scope of its
    own. If a name holds `{}`, the index replaces it instead of following in brackets: `t[{} * step]`.
    """
    return [line.code() for line in _cheapest(matrix, source, result)]


def sums(matrix: Matrix) -> list[tuple[str, list[Term], Fraction]]:
    """The same statements from `x[j]` to `y[i]` as data: what each defines, its terms in their order, and the factor of
    the whole."""
    return [
        (line.target.removeprefix("const vec "), _readable(line.terms) if line.terms else [], line.factor)
        for line in _cheapest(matrix, "x", "y")
    ]


def operations(matrix: Matrix) -> tuple[int, int]:
    """Additions and multiplications in the statements of a matrix."""
    lines = _cheapest(matrix, "source", "result")
    return sum(line.additions for line in lines), sum(line.multiplications for line in lines)


@dataclass(frozen=True)
class _Sum:
    """The C statement `target = factor * (sum of coefficient * vector)`."""

    target: str
    terms: tuple[Term, ...]
    factor: Fraction = ONE

    @property
    def additions(self) -> int:
        return max(0, len(self.terms) - 1)

    @property
    def multiplications(self) -> int:
        return sum(abs(c) != 1 for c in (self.factor, *(c for c, _ in self.terms)))

    def code(self) -> str:
        if not self.terms:
            return f"{self.target} = zeros();"
        (c, name), *rest = _readable(self.terms)
        total = _product(c, name) if abs(c) != 1 else name if c > 0 else f"-{name}"
        for c, name in rest:
            total += f" {'+' if c > 0 else '-'} {_product(abs(c), name)}"
        return f"{self.target} = {total if self.factor == 1 else _product(self.factor, f'({total})')};"


def _product(c: Fraction, what: str) -> str:
    return what if c == 1 else f"REAL({float(c)!r}) * {what}"


def _readable(terms: Iterable[Term]) -> list[Term]:
    """A positive term first; then those without a multiplication, so that the others can be fused with an addition."""
    first, *rest = sorted(terms, key=lambda term: (abs(term[0]) != 1, term[0] < 0))
    positive = next((term for term in rest if first[0] < 0 < term[0]), None)
    if positive is None:
        return [first, *rest]
    return [positive, first, *(term for term in rest if term is not positive)]


def _factored(target: str, terms: Sequence[Term], temporary: bool = False, beside: Sequence[Term] = ()) -> _Sum:
    """The sum with the common factor that leaves the fewest multiplications.

    A temporary takes a factor even at equal cost: only additions follow, which the compiler fuses with the
    multiplication. Ties go to the fewest coefficients that need rounding or differ from those of `beside`.
    """
    known = {ONE, *(abs(c) for c, _ in beside)}

    def cost(factor: Fraction) -> tuple[int, bool, int, int, int, Fraction]:
        line = _over(target, terms, factor)
        left = [abs(c) for c, _ in line.terms]
        rounded, new = sum(Fraction(float(c)) != c for c in left), len({*left} - known)
        return line.multiplications, (factor == 1) == temporary, rounded, new, len(line.code()), factor

    return _over(target, terms, min({ONE, *(abs(c) for c, _ in terms)} if len(terms) > 1 else {ONE}, key=cost))


def _over(target: str, terms: Sequence[Term], factor: Fraction) -> _Sum:
    if factor != 1 and all(c < 0 for c, _ in terms):
        factor = -factor
    return _Sum(target, tuple((c / factor, name) for c, name in terms), factor)


def _cheapest(matrix: Matrix, source: str, result: str) -> list[_Sum]:
    """The statements with or without sums and differences of columns, whichever take fewer operations."""
    vectors = [_element(source, j) for j in range(len(matrix[0]))]
    plain = _rows(matrix, vectors, result)
    before, reduced, combined = _columns(matrix, vectors)
    return min(plain, before + _rows(reduced, combined, result), key=lambda lines: (_cost(lines), len(lines)))


def _cost(lines: Iterable[_Sum]) -> int:
    return sum(line.additions + line.multiplications for line in lines)


def _element(name: str, index: int) -> str:
    return name.replace("{}", str(index)) if "{}" in name else f"{name}[{index}]"


def _pairs(rows: Matrix) -> dict[int, int]:
    """Pairs of rows that agree except for signs: the second of each pair, by the first."""
    pairs: dict[int, int] = {}
    open_rows: dict[tuple[Fraction, ...], int] = {}
    for i, row in enumerate(rows):
        magnitudes = tuple(map(abs, row))
        if magnitudes in open_rows:
            pairs[open_rows.pop(magnitudes)] = i
        elif any(row):
            open_rows[magnitudes] = i
    return pairs


def _columns(matrix: Matrix, vectors: Sequence[str]) -> tuple[list[_Sum], Matrix, list[str]]:
    """Sums and differences for pairs of columns, and the matrix and vectors that remain."""
    columns = transposed(matrix)
    pairs = _pairs(columns)
    lines: list[_Sum] = []
    left: list[tuple[tuple[Fraction, ...], str]] = []
    for j, column in enumerate(columns):
        if j not in pairs:
            if j not in pairs.values():
                left.append((column, vectors[j]))
            continue
        for name, sign in (("sum", ONE), ("difference", -ONE)):
            part = tuple(a if a == sign * b else ZERO for a, b in zip(column, columns[pairs[j]], strict=True))
            if any(part):
                lines.append(_Sum(f"const vec {name}{j}", ((ONE, vectors[j]), (sign, vectors[pairs[j]]))))
                left.append((part, f"{name}{j}"))
    return lines, transposed(tuple(column for column, _ in left)), [name for _, name in left]


def _rows(matrix: Matrix, vectors: Sequence[str], result: str) -> list[_Sum]:
    """One sum for each row; pairs of rows are even + odd and even - odd."""
    pairs = _pairs(matrix)
    lines: list[_Sum] = []
    for i, row in enumerate(matrix):
        if i in pairs:
            lines += _pair(row, matrix[pairs[i]], vectors, (i, pairs[i]), result)
        elif i not in pairs.values():
            terms = [(c, name) for c, name in zip(row, vectors, strict=True) if c]
            lines.append(_factored(_element(result, i), terms))
    return lines


def _pair(
    first: Sequence[Fraction], second: Sequence[Fraction], vectors: Sequence[str], rows: tuple[int, int], result: str
) -> list[_Sum]:
    """Rows that are even + odd and even - odd; a part that is a single vector needs no temporary."""
    lines: list[_Sum] = []
    sums: tuple[list[Term], list[Term]] = ([], [])
    for name, sign in (("even", ONE), ("odd", -ONE)):
        part = [(a, vector) for a, b, vector in zip(first, second, vectors, strict=True) if a and a == sign * b]
        if len(part) > 1 or any(abs(c) != 1 for c, _ in part):
            beside = lines[-1].terms if lines else ()
            lines.append(_factored(f"const vec {name}{rows[0]}", part, temporary=True, beside=beside))
            part = [(ONE, f"{name}{rows[0]}")]
        sums[0].extend(part)
        sums[1].extend((sign * c, vector) for c, vector in part)
    return lines + [_Sum(_element(result, i), tuple(terms)) for i, terms in zip(rows, sums, strict=True)]
