"""Finds calls in a row that are made again and again with other arguments: they become loops."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dslc.numerics import Array, np

LONGEST = 400
"""Calls in a round, at most."""
LEAST_SAVED = 8
"""Calls that a loop must save to be worth its tables."""


@dataclass(frozen=True)
class Repeat:
    """`rounds` times `period` calls in a row from `start` on; one round is no loop."""

    start: int
    period: int
    rounds: int

    @property
    def end(self) -> int:
        """The first call behind it."""
        return self.start + self.period * self.rounds

    @property
    def saved(self) -> int:
        """Calls that need not be written."""
        return self.period * (self.rounds - 1)


def repeats(forms: Sequence[Hashable]) -> list[Repeat]:
    """All calls in order, as loops and what lies between them: first the loop that saves most, then what is left and
    right of it."""
    numbers = {form: number for number, form in enumerate(dict.fromkeys(forms))}
    if len(forms) - len(numbers) < LEAST_SAVED:  # too few come again
        return [Repeat(0, len(forms), 1)] if forms else []
    codes = np.array([numbers[form] for form in forms], dtype=np.int64)
    return _split(codes, 0, len(forms))


def _split(codes: Array, begin: int, end: int) -> list[Repeat]:
    if begin == end:
        return []
    best = max(_candidates(codes[begin:end], begin), key=lambda r: (r.saved, -r.period), default=None)
    if best is None or best.saved < LEAST_SAVED:
        return [Repeat(begin, end - begin, 1)]
    return [*_split(codes, begin, best.start), best, *_split(codes, best.end, end)]


def _candidates(codes: Array, offset: int) -> list[Repeat]:
    """For every period, the longest stretch of calls that come again after so many."""
    found = []
    for period in range(1, min(LONGEST, len(codes) // 2) + 1):
        same = np.concatenate(([0], codes[period:] == codes[:-period], [0])).astype(np.int8)
        edges = np.diff(same)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        lengths = ends - starts
        if len(lengths) and lengths.max() >= period:
            longest = int(lengths.argmax())
            found.append(Repeat(offset + int(starts[longest]), period, int(lengths[longest]) // period + 1))
    return found
