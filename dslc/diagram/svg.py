"""A diagram as SVG, and as a page that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dslc.diagram.boxes import Box, Diagram
from dslc.diagram.layout import Layout, lay_out

LETTER, LINE, PADDING = 7.3, 17.0, 10.0
"""Pixels: the mean width of a letter, the height of a line of text, and what is free around it."""
BETWEEN, MARGIN, TITLE = 42.0, 24.0, 30.0
"""Pixels between rows, around everything, and for the title."""
STYLE = """
    svg { background: #fff; font: 13px system-ui, "DejaVu Sans", sans-serif; }
    text { fill: #1f2933; text-anchor: middle; }
    .title { font-size: 17px; font-weight: 600; text-anchor: start; }
    .more { fill: #52606d; font-size: 12px; }
    .size text { fill: #52606d; font-size: 12px; text-anchor: start; }
    .size rect { fill: #fff; fill-opacity: 0.85; }
    rect { stroke-width: 1.2; }
    .input rect { fill: #e3f2fd; stroke: #1976d2; }
    .layer rect { fill: #f5f7fa; stroke: #7b8794; }
    .block rect { fill: #fff3e0; stroke: #e07b00; }
    .merge rect { fill: #f3e5f5; stroke: #8e24aa; }
    .output rect { fill: #e8f5e9; stroke: #2e7d32; }
    .arrow { fill: none; stroke: #52606d; stroke-width: 1.3; }
    .head { fill: #52606d; }
"""


@dataclass(frozen=True)
class _Rows:
    """The upper edge and the height of each row, in pixels."""

    top: tuple[float, ...]
    height: tuple[float, ...]


def to_svg(diagram: Diagram) -> str:
    """The diagram with its name and number of parameters above it."""
    widths = [max(len(line) for line in box.lines) * LETTER + 2 * PADDING for box in diagram.boxes]
    labels = [_label_width(arrow.size) for arrow in diagram.arrows]
    layout = lay_out(diagram, widths, labels)
    rows = _row_sizes(diagram, layout)
    parts = [*_arrows(diagram, layout, rows)]
    for box, x, row, width in zip(diagram.boxes, layout.x, layout.rows, widths, strict=True):
        parts.append(_box(box, x + MARGIN, rows.top[row] + rows.height[row] / 2, width))
    total = sum(box.parameters for box in diagram.boxes)
    title = f"{diagram.name}: {total:,} parameters"
    right = [x + width / 2 for x, width in zip(layout.x, widths, strict=True)]
    for arrow, bends, label in zip(diagram.arrows, layout.bends, labels, strict=True):
        right.append((bends[0] if bends else layout.x[arrow.source]) + label)
    width = max(*right, len(title) * 10.5) + 2 * MARGIN
    height = rows.top[-1] + rows.height[-1] + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">\n'
        f"  <style>{STYLE}  </style>\n"
        f'  <rect width="100%" height="100%" fill="#fff"/>\n'
        f'  <text class="title" x="{MARGIN:.0f}" y="{MARGIN + 10:.0f}">{escape(title)}</text>\n'
        + "".join(f"  {part}\n" for part in parts)
        + "</svg>\n"
    )


def to_html(diagram: Diagram) -> str:
    """A page with the diagram, which needs nothing else."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(diagram.name)}</title>\n"
        "<style>body { margin: 0; } svg { display: block; margin: auto; max-width: 100%; height: auto; }</style>\n"
        f"{to_svg(diagram)}</html>\n"
    )


def _row_sizes(diagram: Diagram, layout: Layout) -> _Rows:
    heights = [0.0] * (max(layout.rows) + 1)
    for box, row in zip(diagram.boxes, layout.rows, strict=True):
        heights[row] = max(heights[row], _height(box))
    tops = [MARGIN + TITLE]
    for height in heights[:-1]:
        tops.append(tops[-1] + height + BETWEEN)
    return _Rows(tuple(tops), tuple(heights))


def _height(box: Box) -> float:
    return len(box.lines) * LINE + PADDING


def _box(box: Box, x: float, y: float, width: float) -> str:
    height = _height(box)
    first = y - (len(box.lines) - 1) * LINE / 2 + 4.5
    lines = "".join(
        f'<text{" class=" + chr(34) + "more" + chr(34) if i else ""} x="{x:.1f}" y="{first + i * LINE:.1f}">'
        f"{escape(line)}</text>"
        for i, line in enumerate(box.lines)
    )
    return (
        f'<g class="{box.kind}"><rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="6"/>{lines}</g>'
    )


def _arrows(diagram: Diagram, layout: Layout, rows: _Rows) -> Sequence[str]:
    """The lines first, then what lies over them: heads and sizes."""
    lines, above = [], []
    for arrow, bends in zip(diagram.arrows, layout.bends, strict=True):
        start, end = layout.rows[arrow.source], layout.rows[arrow.target]
        x, y = layout.x[arrow.source] + MARGIN, _edge(diagram.boxes[arrow.source], rows, start, +1)
        path = [f"M{x:.1f},{y:.1f}"]
        label = (x, y)
        for row, bend in enumerate(bends, start + 1):
            path += [_curve(x, y, bend + MARGIN, rows.top[row]), f"V{rows.top[row] + rows.height[row]:.1f}"]
            if row == start + 1:
                label = (bend + MARGIN, rows.top[row] + rows.height[row] / 2)
            x, y = bend + MARGIN, rows.top[row] + rows.height[row]
        last = (layout.x[arrow.target] + MARGIN, _edge(diagram.boxes[arrow.target], rows, end, -1))
        path.append(_curve(x, y, last[0], last[1] - 6))
        lines.append(f'<path class="arrow" d="{" ".join(path)}"/>')
        a, b = last
        above.append(f'<path class="head" d="M{a:.1f},{b:.1f} l-4,-8 h8 z"/>')
        at = label if bends else ((x + a) / 2, (y + b) / 2)
        above.append(_size(arrow.size, *at))
    return [*lines, *above]


def _label_width(text: str) -> float:
    return len(text) * LETTER * 0.95 + 8


def _size(text: str, x: float, y: float) -> str:
    """The size of a value, on white, to the right of its line."""
    return (
        f'<g class="size"><rect x="{x + 3:.1f}" y="{y - 8:.1f}" width="{_label_width(text) - 4:.1f}" height="15"/>'
        f'<text x="{x + 5:.1f}" y="{y + 4:.1f}">{escape(text)}</text></g>'
    )


def _edge(box: Box, rows: _Rows, row: int, side: int) -> float:
    """The lower (1) or upper (-1) edge of a box, which stands in the middle of its row."""
    return rows.top[row] + rows.height[row] / 2 + side * _height(box) / 2


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """From (x, y) straight down, over, and straight down into the other point."""
    if abs(x - to_x) < 0.05:
        return f"V{to_y:.1f}"
    middle = (y + to_y) / 2
    return f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
