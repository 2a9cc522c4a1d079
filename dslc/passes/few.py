"""Small batches get a forward phase with their own algorithms: with one example per lane most lanes would be empty.

The phase `few` computes what `forward` does, on tensors of its own. `evaluate` always runs `forward`, since its losses
read the tensors of that phase.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import FEW, Graph, Phase, Step
from dslc.kernels import Setting
from dslc.operation import ACTIVATION, Operation, Tensor
from dslc.passes.algorithms import choose_algorithms


def split_few(graph: Graph, chosen: Graph, setting: Setting, wanted: dict[str, str]) -> Graph:
    """Adds a phase for small batches to `chosen` if `forward` stores examples in lanes.

    chosen: `graph` after algorithm selection. wanted: algorithms by operation, as in `choose_algorithms`.
    """
    forward = chosen.predict.phases[0]
    if not any(op.choice == "lanes" for op in forward.operations):
        return chosen
    alone = choose_algorithms(replace(graph, gradients=None, train=None), replace(setting, batch=1), wanted)
    few = Phase(FEW, tuple(_renamed(op) for op in alone.predict.phases[0].operations))
    phases = (forward, few, *chosen.predict.phases[1:])
    return replace(chosen, predict=replace(chosen.predict, phases=phases))


def most_examples(step: Step, lanes: int) -> int:
    """The largest batch that the phase is used for: half a vector of examples; 0 if there is no such phase."""
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
