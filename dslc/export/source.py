"""NAME.c of a network that only predicts: the kernels of its plan, and the functions around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.functions import Functions
from dslc.codegen.names import PHASES, Names
from dslc.codegen.phases import callers_tensors
from dslc.codegen.prune import needed
from dslc.codegen.templating import render
from dslc.codegen.text import tidy
from dslc.codegen.tools import tools
from dslc.export.interface import Interface, Port
from dslc.export.prediction import Prediction
from dslc.export.weights import HEAD_BYTES, MAGIC
from dslc.numerics import Array
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


@dataclass(frozen=True)
class Offsets:
    """What is subtracted from the features of an input, `at` which place in memory the differences lie."""

    port: Port
    values: tuple[str, ...]
    at: int


def offsets_of(prediction: Prediction, interface: Interface) -> tuple[list[Offsets], int]:
    """The inputs with offsets, whose differences lie behind the workspace, and the bytes of all memory."""
    plan, end, found = prediction.plan, prediction.plan.region("workspace").elements, []
    lanes = plan.target.lanes(plan.itemsize)
    for value, port in zip(interface.trained.network.inputs, interface.inputs, strict=True):
        if value.name in interface.trained.offsets:
            at = -(-end // lanes) * lanes
            values = tuple(map(repr, map(float, interface.trained.offsets[value.name])))
            found.append(Offsets(port, values, at))
            end = at + plan.batch * port.elements + lanes - 1
    return found, end * plan.itemsize


def source(
    prediction: Prediction,
    interface: Interface,
    shared: Mapping[str, object],
    fingerprint: int,
    embedded: Array | None,
    narrow: bool,
) -> str:
    """The whole file. `shared` is what it has in common with the header. `embedded`: the constants, where they are an
    array in it. `narrow`: indices of 32 bits, in float32."""
    plan = prediction.plan
    names = Names(plan, apart=True)
    functions = Functions(plan, names, alone=True)
    offsets, memory_bytes = offsets_of(prediction, interface)
    arrays = _arrays(interface, offsets)
    phases = [_phase(phase, prediction, arrays, names, functions) for phase in plan.steps[0].phases]
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
        "memory_bytes": memory_bytes,
        "offsets": offsets,
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
    whole = tidy(render("export/network.c.j2", context, single))
    return with_short_indices(whole) if narrow and single else whole


def with_short_indices(code: str) -> str:
    """C that counts in 32 bits, for machines whose registers are no wider; no array here has 2^31 numbers."""
    return re.sub(r"\bint64_t\b", "int32_t", code)


def _arrays(interface: Interface, offsets: list[Offsets]) -> dict[str, str]:
    """What the caller's arrays are called where a phase is called, by the names that the phase has for them."""
    network, shifted = interface.trained.network, {o.port for o in offsets}
    return {
        **{
            f"{v.name}_in": f"{port.name}_shifted" if port in shifted else port.name
            for v, port in zip(network.inputs, interface.inputs, strict=True)
        },
        **{f"{h.name}_output": port.name for h, port in zip(network.heads, interface.outputs, strict=True)},
    }


def _phase(
    phase: PlannedPhase, prediction: Prediction, arrays: Mapping[str, str], names: Names, functions: Functions
) -> PhaseFunction:
    step = prediction.plan.steps[0]
    kernels = [k for k in phase.kernels if not k.variant.is_alias]
    found = [functions.function(step, k) for k in kernels]
    given = callers_tensors(phase)
    count = ("n",) if any("n" in f.takes for f in found) else ()
    name = f"predict_{phase.name}"
    return PhaseFunction(
        name,
        PHASES[name],
        (*(names.declare(t) for t in given), *(f"int {n}" for n in count)),
        ("net", *(arrays[t.name] for t in given), *count),
        tuple(functions.call(step, k, f) for k, f in zip(kernels, found, strict=True)),
    )


def _literal(value: float, single: bool) -> str:
    """The shortest decimal number that is this one in its precision."""
    if not single:
        return repr(value)
    text = f"{value:.9g}"
    return f"{text if any(c in text for c in '.en') else text + '.0'}f"
