"""The transforms of Winograd's algorithm on squares of vectors: a matrix is applied from the left and its transpose
from the right."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.winograd import Matrix, statements, transposed, winograd

WORDS = {
    "input": "an input tile, B^T d B.",
    "filter": "a filter, G g G^T.",
    "output": "an output tile, A^T m A.",
    "output_gradient": "a tile of dy, A dy A^T.",
    "filter_gradient": "the gradient of a filter, G^T u G.",
}

MOST_IN_REGISTERS = 32
"""Vectors between the two passes; clang is faster with more of them in a loop."""


@dataclass(frozen=True, order=True)
class Transform:
    """One of the five transforms of F(outputs, taps); `job` is a key of WORDS."""

    outputs: int
    taps: int
    job: str

    @property
    def name(self) -> str:
        """The name of the C function, such as `winograd4x3_input`."""
        return f"winograd{self.outputs}x{self.taps}_{self.job}"

    @property
    def comment(self) -> str:
        """The comment above the C function."""
        return f"F({self.outputs}x{self.outputs}, {self.taps}x{self.taps}): {WORDS[self.job]}"

    @property
    def matrix(self) -> Matrix:
        """The matrix that is applied from both sides, (results x elements)."""
        algorithm = winograd(self.outputs, self.taps)
        return {
            "input": algorithm.input,
            "filter": algorithm.filter,
            "output": algorithm.output,
            "output_gradient": transposed(algorithm.output),
            "filter_gradient": transposed(algorithm.filter),
        }[self.job]

    @property
    def elements(self) -> int:
        """Rows and columns of the square that is read."""
        return len(self.matrix[0])

    @property
    def results(self) -> int:
        """Rows and columns of the square that is written."""
        return len(self.matrix)

    @property
    def unroll(self) -> str:
        """The macro that unrolls both passes, so that the vectors between them stay in registers. Empty for filters,
        which export computes in two passes that are not fused with each other."""
        if self.job == "filter":
            return ""
        return "UNROLL" if self.results * self.elements <= MOST_IN_REGISTERS else "UNROLL_MANY"

    @property
    def statements(self) -> list[str]:
        """The C statements that apply the matrix to the vectors `x` and store `y`."""
        return statements(self.matrix, "x", "y")
