"""Chooses how each tensor lies in memory: the kernels that read a parameter say what suits them."""

from __future__ import annotations

from collections.abc import Mapping

from dslc import kernels
from dslc.graph import Graph
from dslc.layout import Layout
from dslc.lower import identifier, state_name


def choose_layouts(graph: Graph, lanes: int) -> Mapping[str, Layout]:
    """A layout for every tensor, by name. A parameter's gradient and optimizer state lie as the parameter does."""
    chosen: dict[str, Layout] = {}
    for op in graph.predict.operations:
        for name, layout in kernels.wishes(op, lanes).items():
            chosen.setdefault(name, layout)
    states = graph.network.training.optimizer.states if graph.network.training else ()
    for parameter in graph.network.parameters:
        own = identifier(parameter.name)
        layout = chosen.get(own, Layout(parameter.shape))
        names = (own, f"{own}_grad", *(state_name(parameter.name, s) for s in states))
        chosen.update(dict.fromkeys(names, layout))
    for step in graph.steps:
        for tensor in step.tensors:
            chosen.setdefault(tensor.name, Layout(tensor.shape))
    return chosen
