"""Chooses the memory layout of every tensor.

The kernels that read a parameter say which layout they want. A batched tensor is stored plain, example after example,
unless the operations around it work with one example per lane. Conversion operations go between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.kernels import Copy
from dslc.layout import Layout
from dslc.operation import (
    ACTIVATION,
    Operation,
    Tensor,
    average_name,
    identifier,
    shared_gradient_name,
    slice_gradient_name,
    state_name,
)


def choose_layouts(graph: Graph, lanes: int) -> tuple[Graph, Mapping[str, Mapping[str, Layout]]]:
    """Inserts the layout conversions, and returns the graph and a layout for every tensor, by step and tensor name.

    A parameter's gradient and optimizer state have the parameter's layout.
    """
    chosen: dict[str, Layout] = {}
    for step in graph.steps:
        for op in step.operations:
            for name, layout in kernels.preferred_layouts(op, lanes).items():
                chosen.setdefault(name, layout)
    for op in chain.from_iterable(step.operations for step in graph.steps):
        lying = [t for t in kernels.same_layout(op) if t.name in chosen]
        chosen.update({t.name: replace(chosen[lying[0].name], shape=t.shape) for t in kernels.same_layout(op) if lying})
    states = graph.network.training.optimizer.states if graph.network.training else ()
    users = graph.network.users
    for parameter in graph.network.parameters:
        own = identifier(parameter.name)
        average = average_name(parameter.name)
        layout = chosen.get(average, chosen.get(own, Layout(parameter.shape)))
        parts = (shared_gradient_name(parameter.name, node) for node in users[parameter.name])
        gradients = (f"{own}_grad", slice_gradient_name(parameter.name), *parts)
        names = (own, average, *gradients, *(state_name(parameter.name, s) for s in states))
        chosen.update(dict.fromkeys(names, layout))
    by_step = {step.name: dict(chosen) for step in graph.steps}
    return graph.map(lambda step: _convert(step, by_step[step.name], lanes)), by_step


@dataclass(frozen=True)
class _Named:
    """The tensors of copies, and their names."""

    tensors: dict[Copy, Tensor]
    names: set[str]


def _convert(step: Step, chosen: dict[str, Layout], lanes: int) -> Step:
    """Every operation reads from a copy what it needs in another form. A copy is made once, but if two phases need it
    and neither runs before the other, both make it."""
    named = _Named({}, set())
    made: dict[str, set[Copy]] = {}
    phases: list[Phase] = []
    for phase in step.phases:
        there = made[phase.name] = {copy for before in step.before(phase.name) for copy in made[before.name]}
        operations = _converted(phase.operations, chosen, lanes, named, there)
        phases.append(replace(phase, operations=operations))
    step = replace(step, phases=tuple(phases))
    for tensor in step.tensors:
        chosen.setdefault(tensor.name, Layout(tensor.shape))
    return step


def _converted(
    operations: tuple[Operation, ...],
    chosen: dict[str, Layout],
    lanes: int,
    named: _Named,
    there: set[Copy],
) -> tuple[Operation, ...]:
    """The operations with those that make copies inserted. `named`: the copies of the whole step. `there`: those
    already made at this point."""
    done: list[Operation] = []
    for op in operations:
        found = (*_lane_conversions(op, chosen, lanes), *_repacked(op, chosen, lanes), *kernels.copies(op, lanes))
        wanted = {copy.tensor: _own(copy, op) for copy in found}
        for copy in wanted.values():
            if copy not in there:
                there.add(copy)
                tensor = _copied(copy, chosen, named)
                done.extend(_converted((_copy_operation(copy, tensor, op),), chosen, lanes, named, there))
        reads = tuple(named.tensors[wanted[t]] if t in wanted else t for t in op.reads)
        done.extend(_with_plain_result(replace(op, reads=reads), chosen, lanes))
    return tuple(done)


def _own(copy: Copy, op: Operation) -> Copy:
    """A copy for what is computed again is made again too: one that is kept from the forward pass takes memory."""
    return replace(copy, suffix=f"{copy.suffix or copy.kind}_again{op.again}") if op.again else copy


def _lane_conversions(op: Operation, chosen: dict[str, Layout], lanes: int) -> list[Copy]:
    """The conversions to and from lanes of what the operation reads; its results are stored in the same way."""
    batched = [t for t in op.reads if t.batched]
    lying = {t for t in batched if t.name in chosen and chosen[t.name].examples > 1}
    inside = all(t.role == ACTIVATION or not t.batched for t in op.writes)
    if op.choice == "lanes" or (kernels.keeps_layout(op) and lying and inside):
        chosen.update({t.name: Layout(t.shape, examples=lanes) for t in op.writes if t.batched})
        return [Copy(t, "to_lanes", Layout(t.shape, examples=lanes)) for t in batched if t not in lying]
    return [Copy(t, "from_lanes", Layout(t.shape)) for t in batched if t in lying and op.kind != "from_lanes"]


def _repacked(op: Operation, chosen: dict[str, Layout], lanes: int) -> list[Copy]:
    """Copies of parameters whose layout an earlier operation chose differently from what this one wants."""
    preferred_layouts = kernels.preferred_layouts(op, lanes)
    return [
        Copy(t, "pack_filters", preferred_layouts[t.name])
        for t in op.reads
        if t.name in preferred_layouts and chosen.get(t.name, preferred_layouts[t.name]) != preferred_layouts[t.name]
    ]


def _with_plain_result(op: Operation, chosen: dict[str, Layout], lanes: int) -> tuple[Operation, ...]:
    """The operation; if it writes the caller's array in lanes, also one that converts that to the plain layout."""
    result = op.writes[0]
    if op.choice != "lanes" or result.role == ACTIVATION or not result.batched:
        return (op,)
    inside = replace(result, name=f"{result.name}_in_lanes", role=ACTIVATION)
    chosen[inside.name] = Layout(result.shape, examples=lanes)
    chosen[result.name] = Layout(result.shape)
    giving = Operation("from_lanes", f"{result.name}_from_lanes", (inside,), (result,), None, op.comment, op.line)
    return replace(op, writes=(inside, *op.writes[1:])), giving


def _copied(copy: Copy, chosen: dict[str, Layout], named: _Named) -> Tensor:
    """The copy's tensor; different copies of one tensor get distinct names, from their sizes or a number."""
    if copy not in named.tensors:
        name = f"{copy.tensor.name}_{copy.suffix or copy.kind}"
        sizes = "x".join(str(n) for n in copy.layout.stored)
        names = chain((name, f"{name}_{sizes}"), (f"{name}_{sizes}_{i}" for i in count(2)))
        own = next(candidate for candidate in names if candidate not in named.names)
        chosen[own] = copy.layout
        named.names.add(own)
        named.tensors[copy] = replace(copy.tensor, name=own, shape=copy.layout.shape, role=ACTIVATION)
    return named.tensors[copy]


def _copy_operation(copy: Copy, tensor: Tensor, op: Operation) -> Operation:
    choice = "lanes" if copy.kind == "pad" and copy.layout.examples > 1 else ""
    return Operation(copy.kind, tensor.name, (copy.tensor,), (tensor,), copy.detail, op.comment, op.line, choice=choice)
