"""Selects an algorithm for every operation that has several, by estimated cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.kernels import Setting
from dslc.operation import Operation


def choose_algorithms(graph: Graph, setting: Setting, wanted: Mapping[str, str]) -> Graph:
    """Sets `choice` in every operation that can be computed in several ways.

    wanted: algorithms by `step.operation`, or by operation for all steps, which take precedence over the cheapest. One
    that cannot compute its operation is ignored.
    """

    def in_step(step: Step) -> Step:
        def chosen(op: Operation) -> Operation:
            costs = kernels.algorithms(op, setting)
            if not costs:
                return op
            forced = wanted.get(f"{step.name}.{op.name}", wanted.get(op.name, ""))
            return replace(op, choice=forced if forced in costs else min(costs, key=lambda name: costs[name]))

        def in_phase(phase: Phase) -> Phase:
            return replace(
                phase, operations=tuple(s for op in phase.operations for s in kernels.steps(chosen(op), setting))
            )

        return replace(step, phases=tuple(in_phase(phase) for phase in step.phases))

    return graph.map(in_step)
