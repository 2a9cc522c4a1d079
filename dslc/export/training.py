"""NAME.c of a network that learns too: its plan, which is that of Python's module, and the functions around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.codegen.functions import Functions
from dslc.codegen.names import Names
from dslc.export.interface import Interface
from dslc.export.source import (
    Stored,
    any_missing,
    callers_arrays,
    common_context,
    offsets_of,
    phases_of,
    whole_file,
)
from dslc.export.weights import MAGIC
from dslc.ir import Network
from dslc.layout import Layout
from dslc.lowering.lower import SAMPLE_WEIGHTS, lower
from dslc.numerics import Array, np
from dslc.operation import identifier
from dslc.plan import Buffer, Plan
from dslc.planning.planner import Options, make_plan
from dslc.planning.slicing import Division
from dslc.planning.verifier import verify_plan
from dslc.target import Target


@dataclass(frozen=True)
class StoredParameter:
    """A parameter of before x axis x after numbers: where it begins, and how many along the axis lie together."""

    name: str
    begin: str
    before: int
    axis: int
    after: int
    width: int


def plan_training(network: Network, target: Target, batch: int, direct: bool = False) -> Plan:
    """Plans prediction and training on at most `batch` examples; `direct`: with direct convolutions only.

    Raises:
        PlanError: the plan is wrong, which is a bug in the planner.
    """
    graph = lower(network)
    operations = [op for step in graph.steps for op in step.operations]
    algorithms = tuple((op.name, "direct") for op in operations if op.kind.startswith("conv_")) if direct else ()
    plan = make_plan(graph, target, Division(batch, batch, batch), 1, Options(("threads",), algorithms, gathers=False))
    verify_plan(plan)
    return plan


def trained_buffers(plan: Plan) -> dict[str, Buffer]:
    """Where the parameters lie, by their names in the language."""
    return {p.name: plan.kept[identifier(p.name)] for p in plan.graph.network.parameters}


def parameters_image(plan: Plan, parameters: Mapping[str, Array]) -> Array:
    """The parameters as they lie at the beginning of the memory, flat; arrays in the shapes of the language."""
    dtype = np.float32 if plan.itemsize == 4 else np.float64
    image: Array = np.zeros(plan.region("parameters").elements, dtype)
    for name, buffer in trained_buffers(plan).items():
        stored = buffer.layout.pack(np.asarray(parameters[name], dtype))
        image[buffer.offset : buffer.offset + stored.size] = stored
    return image


def training_source(plan: Plan, interface: Interface, shared: Mapping[str, object], stored: Stored) -> str:
    """The whole file. `shared` is what it has in common with the header."""
    names = Names(plan)
    network = interface.trained.network
    predict, train = plan.steps[0], plan.step("train")
    assert train is not None and network.training is not None
    functions = Functions(plan, names, (predict, train), alone=True)
    offsets, _ = offsets_of(plan, interface, plan.arena_bytes(True) // plan.itemsize)
    targets = {f"{h.name}_target": t.name for h, t in zip(network.heads, interface.targets, strict=True)}
    arrays = {
        **callers_arrays(interface, offsets),
        **targets,
        "loss_sums": "sums",
        "loss": "parts",
        SAMPLE_WEIGHTS.name: "NULL",
    }
    phases = {**phases_of(predict, arrays, names, functions), **phases_of(train, arrays, names, functions)}
    prepared = plan.kept.get("prepared")
    if prepared:
        names.constant(predict, prepared.tensor)
    parameters = [
        _stored_parameter(name, buffer.layout, names.constant(predict, buffer.tensor))
        for name, buffer in trained_buffers(plan).items()
    ]
    context = {
        **shared,
        **common_context(plan, interface, stored, offsets, phases),
        "trains": True,
        "threads": "",
        "memory_bytes": training_bytes(plan, interface, False),
        "training_bytes": training_bytes(plan, interface, True),
        "lr": repr(float(network.training.optimizer.lr)),
        "magic_letters": ", ".join(f"'{chr(c)}'" if c != ord("\n") else "'\\n'" for c in MAGIC),
        "parameters": parameters,
        "longest_name": max((len(p.name) for p in parameters), default=0),
        "wanted": interface.wanted,
        "heads": len(network.heads),
        "answers": len(network.answers),
        "labels": [t for t in interface.targets if t.classes],
        "missing_targets": any_missing([*(t.name for t in interface.targets), "loss"]),
        "missing_inputs": any_missing(port.name for port in interface.inputs),
        "prepack_arguments": phases["predict_prepack"].arguments if prepared else (),
        "losses_arguments": phases["predict_losses"].arguments,
        "train_forward_arguments": phases["train_forward"].arguments,
        "train_backward_arguments": phases["train_backward"].arguments,
        "train_check_arguments": phases["train_check"].arguments if "train_check" in phases else (),
        "train_update_arguments": phases["train_update"].arguments,
    }
    return whole_file("export/training.c.j2", context, plan, names, functions, list(phases.values()))


def training_bytes(plan: Plan, interface: Interface, training: bool) -> int:
    """The memory for prediction or for training. Where features have offsets, both take the same."""
    end = plan.arena_bytes(True) // plan.itemsize
    offsets, behind = offsets_of(plan, interface, end)
    return behind * plan.itemsize if offsets else plan.arena_bytes(training)


def _stored_parameter(name: str, layout: Layout, begin: str) -> StoredParameter:
    if not layout.width:
        return StoredParameter(name, begin, prod(layout.shape), 1, 1, 1)
    before, after = layout.shape[: layout.axis], layout.shape[layout.axis + 1 :]
    return StoredParameter(name, begin, prod(before), layout.shape[layout.axis], prod(after), layout.width)
