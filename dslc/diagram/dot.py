"""A diagram in the language of Graphviz."""

from __future__ import annotations

from dslc.diagram.boxes import Diagram

COLORS = {"input": "#e3f2fd", "layer": "#f5f7fa", "block": "#fff3e0", "merge": "#f3e5f5", "output": "#e8f5e9"}


def to_dot(diagram: Diagram) -> str:
    """A digraph with a node a box and an edge an arrow."""
    lines = [
        f"digraph {_quoted(diagram.name)} {{",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    for place, box in enumerate(diagram.boxes):
        lines.append(f"  b{place} [label={_quoted(*box.lines)}, fillcolor={_quoted(COLORS[box.kind])}];")
    for arrow in diagram.arrows:
        lines.append(f"  b{arrow.source} -> b{arrow.target} [label={_quoted(f' {arrow.size}')}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(*lines: str) -> str:
    """Lines as one string, in which only quotes and backslashes mean something."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
