"""NAME.c: the kernels of a plan, the phases that call them, and the public functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dslc.codegen.functions import Functions
from dslc.codegen.names import Names
from dslc.codegen.prune import needed
from dslc.codegen.templating import render
from dslc.codegen.text import tidy
from dslc.codegen.tools import tools
from dslc.export.interface import Interface, Port
from dslc.export.phases import PhaseFunction, phase_function
from dslc.export.prediction import Prediction
from dslc.export.weights import HEAD_BYTES, MAGIC
from dslc.numerics import Array
from dslc.passes.small_batch import largest_small_batch
from dslc.plan import Plan, PlannedStep

OWN_NAMES = {"embedded", "end_threads", "find", "is_aligned", "outdate", "parameter", "parameters", "place_of",
             "predict_part", "predict_together", "prediction", "prepack", "size_of", "weights_error", "weights_head",
             "work"}  # fmt: skip
"""What the templates define besides."""


@dataclass(frozen=True)
class Offsets:
    """What is subtracted from the features of an input, and `at` which place in memory the differences lie."""

    port: Port
    values: tuple[str, ...]
    at: int


@dataclass(frozen=True)
class Stored:
    """How weights lie in a file: bytes of the numbers, the fingerprint of their places, and the numbers themselves
    where the C holds them."""

    image_bytes: int
    fingerprint: int
    embedded: Array | None


def offsets_of(plan: Plan, interface: Interface, end: int) -> tuple[list[Offsets], int]:
    """The inputs with offsets, whose differences lie behind the `end` of the memory in numbers, and the new end."""
    lanes, found = plan.target.lanes(plan.itemsize), []
    for value, port in zip(interface.trained.network.inputs, interface.inputs, strict=True):
        if value.name in interface.trained.offsets:
            at = -(-end // lanes) * lanes
            values = tuple(map(repr, map(float, interface.trained.offsets[value.name])))
            found.append(Offsets(port, values, at))
            end = at + plan.batch * port.elements + lanes - 1
    return found, end


def callers_arrays(interface: Interface, offsets: Sequence[Offsets]) -> dict[str, str]:
    """What the caller's inputs and outputs are called where a phase is called, by the names that the phase has."""
    shifted = {o.port for o in offsets}
    ports = _ports(interface)
    return {name: f"{port.name}_shifted" if port in shifted else port.name for name, port in ports.items()}


def _ports(interface: Interface) -> dict[str, Port]:
    """The caller's inputs and outputs by the names that phases have for them."""
    network = interface.trained.network
    inputs = {f"{v.name}_in": port for v, port in zip(network.inputs, interface.inputs, strict=True)}
    outputs = {f"{h.name}_output": port for h, port in zip(network.answers, interface.outputs, strict=True)}
    return inputs | outputs


def _shared_call(interface: Interface, arrays: Mapping[str, str]) -> dict[str, object]:
    """What the threads of a prediction are told: the declarations of its arrays, and what they are for the caller."""
    given = [f"const {interface.real} *{port.name}" for port in interface.inputs]
    made = [f"{interface.real} *{port.name}" for port in interface.outputs]
    return {"ports": [*given, *made], "call": [arrays[name] for name in _ports(interface)]}


def prediction_source(
    prediction: Prediction,
    interface: Interface,
    shared: Mapping[str, object],
    stored: Stored,
    narrow: bool,
    threads: str = "",
) -> str:
    """The whole file of a network that only predicts. `shared` is what it has in common with the header. `narrow`:
    indices of 32 bits, in float32. `threads`: what shares the work, "pthread", "openmp" or nothing."""
    plan = prediction.plan
    names = Names(plan, apart=True)
    functions = Functions(plan, names, plan.steps[:1], alone=not threads)
    offsets, end = offsets_of(plan, interface, plan.region("workspace").elements)
    arrays = callers_arrays(interface, offsets)
    given = {name: f"call->{port.name}" for name, port in _ports(interface).items()} if threads else arrays
    phases = phases_of(plan.steps[0], given, names, functions)
    context = {
        **shared,
        **common_context(plan, interface, stored, offsets, phases),
        "trains": False,
        "threads": threads,
        **(_shared_call(interface, arrays) if threads else {}),
        "memory_bytes": end * plan.itemsize,
    }
    code = whole_file("export/network.c.j2", context, plan, names, functions, list(phases.values()))
    return with_short_indices(code) if narrow and plan.itemsize == 4 else code


def phases_of(
    step: PlannedStep, arrays: Mapping[str, str], names: Names, functions: Functions
) -> dict[str, PhaseFunction]:
    """The functions of a step's phases by name."""
    names.taken |= OWN_NAMES
    found = (phase_function(step, phase, arrays, names, functions) for phase in step.phases)
    return {phase.name: phase for phase in found}


def common_context(
    plan: Plan,
    interface: Interface,
    stored: Stored,
    offsets: Sequence[Offsets],
    phases: Mapping[str, PhaseFunction],
) -> dict[str, object]:
    """What both kinds of file print: weights, and prediction."""
    single, few = plan.itemsize == 4, phases.get("predict_small_batch")
    return {
        "embedded": [] if stored.embedded is None else [_literal(x, single) for x in stored.embedded.tolist()],
        "itemsize": plan.itemsize,
        "real": interface.real,
        "offsets": offsets,
        "image_bytes": stored.image_bytes,
        "head_bytes": HEAD_BYTES,
        "magic": MAGIC.decode().replace("\n", "\\n"),
        "fingerprint": f"0x{stored.fingerprint:016x}u",
        "given": interface.given,
        "made": interface.made,
        "missing_arrays": any_missing(port.name for port in (*interface.inputs, *interface.outputs)),
        "small_batch": largest_small_batch(plan.graph.predict, plan.target.lanes(plan.itemsize)) if few else 0,
        "small_batch_arguments": few.arguments if few else (),
        "forward_arguments": phases["predict_forward"].arguments,
        "classes": interface.classes,
    }


def any_missing(names: Iterable[str]) -> str:
    """The condition that one of several pointers is NULL."""
    return " || ".join(f"!{name}" for name in names)


def whole_file(
    template: str,
    context: dict[str, object],
    plan: Plan,
    names: Names,
    functions: Functions,
    phases: Sequence[PhaseFunction],
) -> str:
    """The file with the tools that it needs, and no others."""
    single = plan.itemsize == 4
    context = {
        **context,
        "tools": "",
        "constants": list(names.constants.values()),
        "functions": list(functions.by_code.values()),
        "phases": phases,
    }
    context["tools"] = needed(tools(plan, functions, False, not functions.alone), render(template, context, single))
    return tidy(render(template, context, single))


def with_short_indices(code: str) -> str:
    """C that counts in 32 bits, for machines whose registers are no wider; no array here has 2^31 numbers."""
    return re.sub(r"\bint64_t\b", "int32_t", code)


def _literal(value: float, single: bool) -> str:
    """The shortest decimal number that is this one in its precision."""
    if not single:
        return repr(value)
    text = f"{value:.9g}"
    return f"{text if any(c in text for c in '.en') else text + '.0'}f"
