"""What the page shows of a text: errors, the diagram, and every layer with its size, memory, work and C."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from dslc.codegen.by_layer import functions_by_layer
from dslc.compiler import plan_network
from dslc.diagram.boxes import call_text, diagram_of
from dslc.diagram.svg import to_svg
from dslc.editor import vocabulary
from dslc.editor.analysis import analyze
from dslc.ir import Network, Node
from dslc.language.diagnostics import DataError, Diagnostic, SpecError, render
from dslc.shape import show_shape

Json = dict[str, Any]


@dataclass(frozen=True)
class _Offsets:
    """Places in a text as JavaScript counts them, in units of UTF-16."""

    text: str

    def __getitem__(self, offset: int) -> int:
        return len(self.text[:offset].encode("utf-16-le")) // 2


def analysis_of(text: str) -> Json:
    """`problems` in the words of the command line, each with its place, and the `network` if there are no errors."""
    found = analyze(text)
    at = _Offsets(text)
    answer: Json = {"problems": [_problem(each, at) for each in found.diagnostics[:20]], "network": None}
    if found.network is not None:
        answer["network"] = _network(found.network, at)
    return answer


def _problem(diagnostic: Diagnostic, at: _Offsets) -> Json:
    span = diagnostic.span
    return {
        "severity": diagnostic.severity,
        "start": at[span.start],
        "end": at[span.end],
        "text": render(diagnostic),
    }


def _network(network: Network, at: _Offsets) -> Json:
    diagram = diagram_of(network)
    itemsize = 8 if network.dtype == "float64" else 4
    return {
        "name": network.name,
        "parameters": sum(p.elements for p in network.parameters),
        "trains": network.training is not None,
        "svg": to_svg(diagram),
        "boxes": [box.layers for box in diagram.boxes],
        "layers": [_layer(node, itemsize, at) for node in network.nodes],
    }


def _layer(node: Node, itemsize: int, at: _Offsets) -> Json:
    layer = node.layer
    return {
        "name": node.name,
        "call": call_text(layer),
        "start": at[node.call.start],
        "end": at[node.call.end],
        "output": show_shape(node.output.shape),
        "size": layer.formula(node.input_shapes),
        "parameters": sum(p.elements for p in node.parameters),
        "bytes": (sum(p.elements for p in node.parameters) + node.output.elements) * itemsize,
        "multiply_adds": layer.multiply_adds(node.input_shapes),
        "about": vocabulary.about(type(layer)),
        "formula": getdoc(type(layer).reference) or "",
    }


def c_of(text: str, name: str) -> Json:
    """The C of a layer: `functions`, and a `note` where another layer's compute it.

    Raises:
        SpecError: the text has errors.
        DataError: it has no such layer.
    """
    found = analyze(text)
    if found.network is None:
        raise SpecError(found.diagnostics)
    network = found.network
    node = next((node for node in network.nodes if node.name == name), None)
    if node is None:
        raise DataError(f"there is no layer {name!r}")
    by_layer = functions_by_layer(plan_network(network))
    functions, note = by_layer[name], ""
    while not functions and (before := network.producer(node.inputs[0])) is not None:
        node, functions = before, by_layer[before.name]
        note = f"{name} has no function of its own: it is computed in those of {node.name}, or costs nothing"
    return {"note": note, "functions": [{"name": f.name, "steps": f.steps, "code": f.code} for f in functions]}
