"""The C of each layer: the functions of the emitted file, sorted by the layer that they compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslc.codegen.functions import Function, Functions
from dslc.codegen.names import Names
from dslc.codegen.phases import phase_functions
from dslc.codegen.templating import render
from dslc.codegen.text import tidy
from dslc.ir import Network
from dslc.plan import Plan


@dataclass(frozen=True)
class LayerFunction:
    """A function of the C file. `steps`: the steps that call it, such as `predict` and `train`."""

    name: str
    steps: tuple[str, ...]
    code: str


def functions_by_layer(plan: Plan, alone: bool = False) -> dict[str, tuple[LayerFunction, ...]]:
    """The functions by the name of their layer, in the order in which they run, named as `emit` names them. alone:
    as they are where one thread runs them, without shares of the work.

    A layer that is computed in another's function, as an activation in the epilogue of the layer before, has none.
    """
    names = Names(plan)
    functions = Functions(plan, names, plan.steps, alone)
    phase_functions(plan, names, functions)
    network, single = plan.graph.network, plan.itemsize == 4
    found: dict[str, dict[str, tuple[Function, dict[str, None]]]] = {node.name: {} for node in network.nodes}
    for step in plan.steps:
        for kernel in (k for k in step.kernels if not k.variant.is_alias):
            layer = layer_of(network, kernel.operation.name)
            if layer is not None:
                function = functions.function(kernel)
                found[layer].setdefault(function.name, (function, {}))[1][step.name] = None
    return {
        layer: tuple(
            LayerFunction(f.name, tuple(steps), tidy(render("functions.j2", {"functions": [f]}, single)))
            for f, steps in of.values()
        )
        for layer, of in found.items()
    }


def layer_of(network: Network, operation: str) -> str | None:
    """The layer of an operation `<layer>_<job>`: that with the longest name, as `conv1_a` may be a name too."""
    fitting: Sequence[str] = [
        n.name for n in network.nodes if operation == n.name or operation.startswith(f"{n.name}_")
    ]
    return max(fitting, key=len, default=None)
