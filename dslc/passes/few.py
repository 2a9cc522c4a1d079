"""A prediction of few examples picks algorithms of its own: with one example a lane most lanes would stand empty.

The phase `few` does what `forward` does, on tensors of its own: the losses of `evaluate` read those of `forward`, which
therefore computes all of its examples.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import FEW, Graph, Phase, Step
from dslc.kernels import Setting
from dslc.operation import ACTIVATION, Operation, Tensor
from dslc.passes.algorithms import choose_algorithms


def split_few(graph: Graph, chosen: Graph, setting: Setting, wanted: dict[str, str]) -> Graph:
    """`chosen`, which is `graph` with its algorithms, and a phase for few examples where that is worth it."""
    forward = chosen.predict.phases[0]
    if not any(op.choice == "lanes" for op in forward.operations):
        return chosen
    alone = choose_algorithms(replace(graph, gradients=None, train=None), replace(setting, batch=1), wanted)
    few = Phase(FEW, tuple(_renamed(op) for op in alone.predict.phases[0].operations))
    phases = (forward, few, *chosen.predict.phases[1:])
    return replace(chosen, predict=replace(chosen.predict, phases=phases))


def most_examples(step: Step, lanes: int) -> int:
    """Up to how many examples the phase serves; 0 where there is none."""
    return lanes // 2 if any(phase.name == FEW for phase in step.phases) else 0


def _renamed(op: Operation) -> Operation:
    return replace(
        op,
        name=f"{op.name}_few",
        reads=tuple(_own(t) for t in op.reads),
        writes=tuple(_own(t) for t in op.writes),
    )


def _own(tensor: Tensor) -> Tensor:
    return replace(tensor, name=f"{tensor.name}_few") if tensor.role == ACTIVATION else tensor
