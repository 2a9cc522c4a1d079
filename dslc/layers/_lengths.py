"""How many steps each example of a sequence has: a second value, `lengths`, of one whole number."""

from __future__ import annotations

from collections.abc import Iterable

from dslc.shape import Shape, SizeProblem, describe


def require_lengths(given: Iterable[Shape]) -> None:
    """Raises SizeProblem for lengths, if there are some, that are not one number."""
    for shape in given:
        if shape != (1,):
            raise SizeProblem(
                f"lengths is one number, the steps of an example, not {describe(shape)}", argument="lengths"
            )
