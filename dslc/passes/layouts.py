"""Chooses how each tensor lies in memory.

The kernels that read a parameter say what suits them. A batched tensor lies plain, example after example, unless all
that touches it would rather have one example a lane; between the two stand operations that turn one into the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Operation, Phase, Step, Tensor
from dslc.layout import Layout
from dslc.lower import identifier, state_name


def choose_layouts(graph: Graph, lanes: int) -> tuple[Graph, Mapping[str, Layout]]:
    """A layout for every tensor, by name, and the graph with the conversions that they need.

    A parameter's gradient and optimizer state lie as the parameter does.
    """
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
    graph = graph.map(lambda step: _convert(step, chosen, lanes))
    for step in graph.steps:
        for tensor in step.tensors:
            chosen.setdefault(tensor.name, Layout(tensor.shape))
    return graph, chosen


def _convert(step: Step, chosen: dict[str, Layout], lanes: int) -> Step:
    """Every operation reads what it wants to have in lanes from a converted copy."""
    converted: dict[Tensor, Tensor] = {}
    return replace(step, phases=tuple(_convert_phase(phase, chosen, lanes, converted) for phase in step.phases))


def _convert_phase(
    phase: Phase, chosen: dict[str, Layout], lanes: int, converted: dict[Tensor, Tensor]
) -> Phase:
    operations: list[Operation] = []
    for op in phase.operations:
        for tensor in kernels.in_lanes(op):
            if tensor not in converted:
                converted[tensor] = replace(tensor, name=f"{tensor.name}_lanes", role="activation")
                chosen[converted[tensor].name] = Layout(tensor.shape, examples=lanes)
                copy = f"{tensor.name}_to_lanes"
                operations.append(Operation("to_lanes", copy, (tensor,), (converted[tensor],), None, op.comment, op.line))
        wanted = kernels.in_lanes(op)
        reads = tuple(converted[t] if t in wanted else t for t in op.reads)
        operations.append(replace(op, reads=reads))
    return replace(phase, operations=tuple(operations))
