"""Chooses the algorithm of every operation that has several, by their costs."""

from __future__ import annotations

from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Operation, Phase, Step
from dslc.kernels import Setting


def choose_algorithms(graph: Graph, setting: Setting) -> Graph:
    """The graph with a `choice` in every operation that can be computed in several ways."""

    def chosen(op: Operation) -> Operation:
        costs = kernels.algorithms(op, setting)
        return replace(op, choice=min(costs, key=lambda name: costs[name])) if costs else op

    def in_phase(phase: Phase) -> Phase:
        return replace(phase, operations=tuple(chosen(op) for op in phase.operations))

    def in_step(step: Step) -> Step:
        return replace(step, phases=tuple(in_phase(phase) for phase in step.phases))

    return graph.map(in_step)
