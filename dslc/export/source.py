"""NAME.c of a network that only predicts: the kernels of its plan, and the functions around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.functions import Functions
from dslc.codegen.names import PHASES, Names
from dslc.codegen.phases import callers_tensors
from dslc.codegen.prune import needed
from dslc.codegen.templating import render
from dslc.codegen.text import tidy
from dslc.codegen.tools import tools
from dslc.export.interface import Interface
from dslc.export.prediction import Prediction
from dslc.export.weights import HEAD_BYTES, MAGIC
from dslc.numerics import Array
from dslc.operation import INPUT
from dslc.passes.small_batch import largest_small_batch
from dslc.plan import PlannedPhase


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function that calls kernels in a row. `arguments` are what predict calls it with."""

    name: str
    comment: str
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    calls: tuple[str, ...]

    @property
    def uses_memory(self) -> bool:
        """Whether it works in the memory that the caller gave."""
        return any("at + " in call for call in self.calls)

    @property
    def uses_weights(self) -> bool:
        """Whether it reads constants."""
        return any("weights + " in call for call in self.calls)


def source(
    prediction: Prediction, interface: Interface, shared: Mapping[str, object], fingerprint: int, embedded: Array | None
) -> str:
    """The whole file. `shared` is what it has in common with the header. `embedded`: the constants, where they are an
    array in it."""
    plan = prediction.plan
    names = Names(plan, apart=True)
    functions = Functions(plan, names, alone=True)
    phases = [_phase(phase, prediction, interface, names, functions) for phase in plan.steps[0].phases]
    single, by_name = plan.itemsize == 4, {phase.name: phase for phase in phases}
    small_batch = largest_small_batch(plan.graph.predict, plan.target.lanes(plan.itemsize))
    few = by_name.get("predict_small_batch")
    context = {
        **shared,
        "tools": "",
        "constants": list(names.constants.values()),
        "functions": list(functions.by_code.values()),
        "phases": phases,
        "embedded": [] if embedded is None else [_literal(x, single) for x in embedded.tolist()],
        "itemsize": plan.itemsize,
        "real": interface.real,
        "memory_bytes": prediction.workspace_bytes,
        "image_bytes": prediction.constant_bytes,
        "head_bytes": HEAD_BYTES,
        "magic": MAGIC.decode().replace("\n", "\\n"),
        "fingerprint": f"0x{fingerprint:016x}u",
        "given": interface.given,
        "made": interface.made,
        "missing": " || ".join(f"!{port.name}" for port in (*interface.inputs, *interface.outputs)),
        "small_batch": small_batch,
        "small_batch_arguments": few.arguments if few else (),
        "forward_arguments": by_name["predict_forward"].arguments,
        "classes": interface.classes,
    }
    code = render("export/network.c.j2", context, single)
    context["tools"] = needed(tools(plan, functions, False), code)
    return tidy(render("export/network.c.j2", context, single))


def _phase(
    phase: PlannedPhase, prediction: Prediction, interface: Interface, names: Names, functions: Functions
) -> PhaseFunction:
    kernels = [k for k in phase.kernels if not k.variant.is_alias]
    found = [functions.function(prediction.plan.steps[0], k) for k in kernels]
    network = interface.trained.network
    called = {
        **{f"{v.name}_in": port.name for v, port in zip(network.inputs, interface.inputs, strict=True)},
        **{f"{h.name}_output": port.name for h, port in zip(network.heads, interface.outputs, strict=True)},
    }
    arrays = callers_tensors(phase)
    count = ("n",) if any("n" in f.takes for f in found) else ()
    name = f"predict_{phase.name}"
    return PhaseFunction(
        name,
        PHASES[name],
        (*(f"{'const ' * (t.role == INPUT)}{interface.real} *{t.name}" for t in arrays), *(f"int {n}" for n in count)),
        ("net", *(called[t.name] for t in arrays), *count),
        tuple(functions.call(prediction.plan.steps[0], k, f) for k, f in zip(kernels, found, strict=True)),
    )


def _literal(value: float, single: bool) -> str:
    """The shortest decimal number that is this one in its precision."""
    if not single:
        return repr(value)
    text = f"{value:.9g}"
    return f"{text if any(c in text for c in '.en') else text + '.0'}f"
