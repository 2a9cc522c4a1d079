"""Choices that Hypothesis makes. Each shrinks to the first of its choices, or to no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass
class Draw:
    """What random networks are drawn with: `draw` is that of a composite strategy."""

    draw: Any

    def chance(self, one_in: int) -> bool:
        """Yes once in so many times."""
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def of(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return self.draw(st.sampled_from(choices))

    def some(self, choices: Sequence[Any], least: int = 1, most: int | None = None) -> list[Any]:
        """Several of them, each once."""
        return list(self.draw(st.lists(st.sampled_from(choices), min_size=least, max_size=most, unique=True)))
