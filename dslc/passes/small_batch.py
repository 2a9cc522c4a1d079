"""Small batches get a forward phase with their own algorithms: with one example per lane most lanes would be empty.

The phase `small_batch` computes what `forward` does, on tensors of its own, and with the same bits: by the same variant
of Winograd's algorithm where that computes a convolution, since it rounds in another way than sums of products do.
`evaluate` always runs `forward`, since its losses read the tensors of that phase.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import SMALL_BATCH, Graph, Phase, Step
from dslc.kernels import Setting
from dslc.operation import ACTIVATION, Operation, Tensor
from dslc.passes.algorithms import choose_algorithms


def add_small_batch_phase(graph: Graph, chosen: Graph, setting: Setting, wanted: dict[str, str]) -> Graph:
    """Adds a phase for small batches to `chosen` if `forward` stores examples in lanes.

    chosen: `graph` after algorithm selection. wanted: algorithms by operation, as in `choose_algorithms`.
    """
    forward = chosen.predict.phases[0]
    if not any(op.choice == "lanes" for op in forward.operations):
        return chosen
    predict, one = replace(graph, gradients=None, train=None), replace(setting, batch=1)
    found = choose_algorithms(predict, one, wanted).predict.phases[0].operations
    many = {op.name: _winograd(op) for op in forward.operations}
    apart = {op.name: many[op.name] or "direct" for op in found if _winograd(op) != many.get(op.name, _winograd(op))}
    alone = choose_algorithms(predict, one, wanted | apart)
    few = Phase(SMALL_BATCH, tuple(_renamed(op) for op in alone.predict.phases[0].operations))
    phases = (forward, few, *chosen.predict.phases[1:])
    return replace(chosen, predict=replace(chosen.predict, phases=phases))


def _winograd(op: Operation) -> str:
    """The variant of Winograd's algorithm that an operation is computed by; empty for sums of products."""
    return op.choice if op.choice.startswith("winograd") else ""


def largest_small_batch(step: Step, lanes: int) -> int:
    """The largest batch that the phase is used for: half a vector of examples; 0 if there is no such phase."""
    return lanes // 2 if any(phase.name == SMALL_BATCH for phase in step.phases) else 0


def _renamed(op: Operation) -> Operation:
    return replace(
        op,
        name=f"{op.name}_small_batch",
        reads=tuple(_for_small_batch(t) for t in op.reads),
        writes=tuple(_for_small_batch(t) for t in op.writes),
    )


def _for_small_batch(tensor: Tensor) -> Tensor:
    return replace(tensor, name=f"{tensor.name}_small_batch") if tensor.role == ACTIVATION else tensor
