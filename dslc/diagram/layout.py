"""Where the boxes of a diagram stand: in rows from top to bottom, after Sugiyama, Tagawa and Toda (1981).

A box stands one row below the lowest box that it takes a value from. A value that passes rows is a chain of points in
them. The order in a row comes from the mean places of the neighbours, tried downwards and upwards in turn; then
everything moves as near to its neighbours as the order and the widths allow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dslc.diagram.boxes import Diagram

SWEEPS = 12
"""To order the rows."""
MOVES = 60
"""To place what is in them."""
GAP = 36.0
"""Between neighbours in a row, in the units of the widths."""
STRAIGHT = 8.0
"""So much more two points of one value attract each other than two boxes do."""
Extent = tuple[float, float]
"""How far something reaches to the left and to the right of its place."""


@dataclass(frozen=True)
class Layout:
    """`rows`: the row of each box, from 0; `x`: the middle of each box; `bends`: for each arrow its middle in each row
    that it passes. Numbers start at 0 on the left."""

    rows: tuple[int, ...]
    x: tuple[float, ...]
    bends: tuple[tuple[float, ...], ...]


def lay_out(diagram: Diagram, widths: Sequence[float], labels: Sequence[float]) -> Layout:
    """Places for boxes of these widths. labels: for each arrow the width that is free on its right where it passes
    rows: its size is written there."""
    rows = _rows(diagram)
    places, chains = _with_points(diagram, rows)
    links = [(a, b) for chain in chains for a, b in pairwise(chain)]
    order = _ordered(places, links)
    extents = [(width / 2, width / 2) for width in widths]
    extents += [(0.0, label) for chain, label in zip(chains, labels, strict=True) for _ in chain[1:-1]]
    x = _positions(order, links, extents, len(diagram.boxes))
    left = min(at - before for at, (before, _) in zip(x, extents, strict=True))
    moved = [at - left for at in x]
    boxes = len(diagram.boxes)
    return Layout(rows, tuple(moved[:boxes]), tuple(tuple(moved[p] for p in chain[1:-1]) for chain in chains))


def _rows(diagram: Diagram) -> tuple[int, ...]:
    rows = [0] * len(diagram.boxes)
    for arrow in sorted(diagram.arrows, key=lambda arrow: arrow.target):
        rows[arrow.target] = max(rows[arrow.target], rows[arrow.source] + 1)
    return tuple(rows)


def _with_points(diagram: Diagram, rows: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """The row of every box and, behind them, of every point; and the boxes and points along each arrow."""
    places, chains = list(rows), []
    for arrow in diagram.arrows:
        passed = range(rows[arrow.source] + 1, rows[arrow.target])
        chains.append([arrow.source, *range(len(places), len(places) + len(passed)), arrow.target])
        places += passed
    return places, chains


def _ordered(places: Sequence[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The order in each row with the fewest crossings that the sweeps found."""
    order = [[p for p, row in enumerate(places) if row == number] for number in range(max(places) + 1)]
    above, below = _neighbours(links)
    best, fewest = order, _crossings(order, below)
    for sweep in range(SWEEPS):
        order = [list(row) for row in order]
        downwards = sweep % 2 == 0
        for number in range(len(order)) if downwards else reversed(range(len(order))):
            other = order[number - 1] if downwards else order[(number + 1) % len(order)]
            spot = {p: i for i, p in enumerate(other)}
            own = {p: i for i, p in enumerate(order[number])}
            near = above if downwards else below
            order[number].sort(key=lambda p: _mean([spot[q] for q in near[p] if q in spot], own[p]))
        if (crossings := _crossings(order, below)) < fewest:
            best, fewest = order, crossings
    return best


def _neighbours(links: Sequence[tuple[int, int]]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    above: dict[int, list[int]] = defaultdict(list)
    below: dict[int, list[int]] = defaultdict(list)
    for a, b in links:
        below[a].append(b)
        above[b].append(a)
    return above, below


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _crossings(order: Sequence[Sequence[int]], below: dict[int, list[int]]) -> int:
    count = 0
    for row, following in pairwise(order):
        spot = {p: i for i, p in enumerate(following)}
        ends = [spot[q] for p in row for q in sorted(below[p], key=spot.__getitem__)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _positions(
    order: Sequence[Sequence[int]], links: Sequence[tuple[int, int]], extents: Sequence[Extent], boxes: int
) -> list[float]:
    """The middle of everything: each row in turn moves to the mean places of its neighbours, as its order allows."""
    x = [0.0] * len(extents)
    for row in order:
        _place_row(row, [0.0] * len(row), [1.0] * len(row), extents, x)
    near: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for a, b in links:
        weight = STRAIGHT if a >= boxes and b >= boxes else 1.0
        near[a].append((b, weight))
        near[b].append((a, weight))
    for sweep in range(MOVES):
        for row in order if sweep % 2 == 0 else reversed(order):
            weights = [sum(w for _, w in near[p]) or 1.0 for p in row]
            means = [sum(x[q] * w for q, w in near[p]) for p in row]
            wanted = [mean / weight for mean, weight in zip(means, weights, strict=True)]
            _place_row(row, wanted, weights, extents, x)
    return x


def _place_row(
    row: Sequence[int], wanted: Sequence[float], weights: Sequence[float], extents: Sequence[Extent], x: list[float]
) -> None:
    """Writes places into `x` that are as near as possible to the wanted ones, by weighted least squares, in this order
    and with gaps: isotonic regression by pooling adjacent violators (Ayer et al. 1955)."""
    shifts = [0.0]
    for a, b in pairwise(row):
        shifts.append(shifts[-1] + extents[a][1] + GAP + extents[b][0])
    pools: list[tuple[float, float, int]] = []
    for want, weight, shift in zip(wanted, weights, shifts, strict=True):
        mean, total, count = want - shift, weight, 1
        while pools and pools[-1][0] > mean:
            other, more, number = pools.pop()
            mean = (mean * total + other * more) / (total + more)
            total, count = total + more, count + number
        pools.append((mean, total, count))
    settled = [mean for mean, _, count in pools for _ in range(count)]
    for p, at, shift in zip(row, settled, shifts, strict=True):
        x[p] = at + shift
