"""`dslc draw`: what is in the picture, and that nothing lies on something else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_cli import dslc

from dslc.compiler import check_file, check_text
from dslc.diagram.boxes import Diagram, diagram_of
from dslc.diagram.dot import to_dot
from dslc.diagram.layout import GAP, lay_out
from dslc.diagram.svg import to_html, to_svg
from helpers import REPO, SPECS

SVG = "{http://www.w3.org/2000/svg}"
BOTH = pytest.mark.parametrize("unfold", [False, True])
EACH = pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)


def test_blocks_are_folded_and_activations_share_a_box() -> None:
    diagram = diagram_of(check_file(REPO / "specs" / "residual.net"))
    assert [box.lines[0] for box in diagram.boxes] == [
        "image",
        "conv(16, 3x3, stride=2, pad=same, bias=off)",
        "residual(16)",
        "residual(16)",
        "conv(32, 3x3, stride=2, pad=same, bias=off)",
        "residual(32)",
        "global_avgpool",
        "dense(10)",
        "output",
    ]
    assert diagram.boxes[1].lines[1:] == ("→ batchnorm → relu", "176 parameters")
    sizes = ["28x28x1", "14x14x16", "14x14x16", "14x14x16", "7x7x32", "7x7x32", "32", "10"]
    assert [(a.source, a.target, a.size) for a in diagram.arrows] == [(i, i + 1, s) for i, s in enumerate(sizes)]


def test_a_head_that_is_only_trained_says_so() -> None:
    """Beside the one that predicts."""
    loss = "train {\n  loss a: mse\n  loss b: mse\n  optimizer sgd(0.1)\n}\n"
    heads = "  output a = h -> dense(2)\n  output b = h -> dense(1, name=aside)\n"
    network = check_text(f"net Two {{\n  input x: 4\n  h = x -> dense(3)\n{heads}}}\n{loss}")
    aside = replace(network, heads=(network.heads[0], replace(network.heads[1], train_only=True)))
    assert [box.lines for box in diagram_of(aside).boxes if box.kind == "output"] == [
        ("a", "mse"), ("b", "mse", "only in training")
    ]  # fmt: skip


def test_values_with_several_readers_and_several_heads() -> None:
    diagram = diagram_of(
        check_text(
            "net A {\n  input x: 4\n  input z: 3\n  h = x -> dense(3) -> relu\n  g = h -> tanh\n"
            "  output a = add(h, g, z)\n  output b = g -> dense(2)\n}\n"
        )
    )
    assert [box.lines[0] for box in diagram.boxes] == ["x", "z", "dense(3)", "tanh", "add", "dense(2)", "a", "b"]
    arrows = {(a.source, a.target) for a in diagram.arrows}
    assert arrows == {(0, 2), (2, 3), (2, 4), (3, 4), (1, 4), (3, 5), (4, 6), (5, 7)}


@EACH
@BOTH
def test_every_trained_parameter_is_in_one_box(path: Path, unfold: bool) -> None:
    network = check_file(path)
    diagram = diagram_of(network, unfold)
    assert sum(box.parameters for box in diagram.boxes) == sum(p.elements for p in network.parameters if p.trained)
    assert all(arrow.source < arrow.target for arrow in diagram.arrows)
    assert {arrow.target for arrow in diagram.arrows} == set(range(len(network.inputs), len(diagram.boxes)))


def _tangled() -> Diagram:
    """A network in which many values pass many rows."""
    lines = ["net A {", "  input x: 4", "  v1 = x -> dense(4)"]
    lines += [f"  v{i} = add(v{i - 1}, {f'v{i - 5}' if i > 5 else 'x'}) -> dense(4)" for i in range(2, 12)]
    return diagram_of(check_text("\n".join([*lines, "}\n"])))


@pytest.mark.parametrize("path", [*SPECS, None], ids=lambda path: path.stem if path else "tangled")
@BOTH
def test_nothing_lies_on_something_else(path: Path | None, unfold: bool) -> None:
    diagram = _tangled() if path is None else diagram_of(check_file(path), unfold)
    widths = [20.0 + 7 * max(map(len, box.lines)) for box in diagram.boxes]
    labels = [7.0 * len(arrow.size) for arrow in diagram.arrows]
    layout = lay_out(diagram, widths, labels)
    taken: dict[int, list[tuple[float, float]]] = {}
    for row, x, width in zip(layout.rows, layout.x, widths, strict=True):
        taken.setdefault(row, []).append((x - width / 2, x + width / 2))
    for arrow, bends, label in zip(diagram.arrows, layout.bends, labels, strict=True):
        start, end = layout.rows[arrow.source], layout.rows[arrow.target]
        assert len(bends) == end - start - 1 >= 0
        for row, x in enumerate(bends, start + 1):
            taken[row].append((x, x + label))
    for spans in taken.values():
        spans.sort()
        assert spans[0][0] >= -1e-6
        assert all(b - a >= GAP - 1e-6 for (_, a), (b, _) in pairwise(spans))


def test_a_chain_is_straight_and_a_crossing_is_undone() -> None:
    chain = diagram_of(check_file(REPO / "specs" / "mlp.net"))
    assert len(set(lay_out(chain, [50.0] * len(chain.boxes), [9.0] * len(chain.arrows)).x)) == 1
    text = "net A {\n  input x: 4\n  input z: 3\n  output a = z -> dense(2)\n  output b = x -> dense(2)\n}\n"
    layout = lay_out(crossed := diagram_of(check_text(text)), [50.0] * 6, [9.0] * 4)
    x = layout.x
    assert all((x[a.source] - x[b.source]) * (x[a.target] - x[b.target]) > 0
               for a in crossed.arrows for b in crossed.arrows
               if layout.rows[a.source] == layout.rows[b.source] and a != b)  # fmt: skip


@EACH
def test_svg_and_dot_have_every_text(path: Path) -> None:
    diagram = diagram_of(check_file(path))
    root = ElementTree.fromstring(to_svg(diagram))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    dot = to_dot(diagram)
    for line in [line for box in diagram.boxes for line in box.lines] + [a.size for a in diagram.arrows]:
        assert line in texts and line in dot
    width, height = (float(root.get(side, "0")) for side in ("width", "height"))
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("x"):
            x, y, w, h = (float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
            assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    assert to_html(diagram).count("<svg") == 1


def test_command(tmp_path: Path) -> None:
    for name in ("net.svg", "net.html", "net.dot"):
        done = dslc("draw", "lenet5", "-o", name, cwd=tmp_path)
        assert done.returncode == 0 and (tmp_path / name).stat().st_size > 500
    assert dslc("draw", "lenet5", "-o", "net.gif", cwd=tmp_path).returncode == 2
    png = dslc("draw", "lenet5", "-o", "net.png", cwd=tmp_path)
    assert (png.returncode == 0) == (shutil.which("dot") is not None) == (tmp_path / "net.png").exists()
    if png.returncode:
        assert "Graphviz" in png.stderr
