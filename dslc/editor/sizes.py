"""The size behind every line of a net."""

from __future__ import annotations

from dslc.ir import Network
from dslc.shape import Shape, show_shape

MOST = 3
"""So many different sizes of a line in a block are shown."""


def sizes_by_line(network: Network) -> dict[int, str]:
    """By the number of a line, counted from 1, the size of what its last layer makes. In a block that runs several
    times, all sizes that differ."""
    found: dict[int, dict[str, Shape]] = {}
    for node in network.nodes:
        lines = {(node.call.line, node.block), (node.span.line, "")} if node.block else {(node.call.line, "")}
        for line, run in lines:
            found.setdefault(line, {})[run] = node.output.shape
    return {line: _shown(list(dict.fromkeys(runs.values()))) for line, runs in found.items()}


def _shown(shapes: list[Shape]) -> str:
    shown = ", ".join(show_shape(shape) for shape in shapes[:MOST])
    return f"{shown}, ..." if len(shapes) > MOST else shown
