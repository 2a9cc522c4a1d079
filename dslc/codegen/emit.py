"""`plan.Plan` to C: the whole file, from names, functions, phases and tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.c_source import RUNS, CSource
from dslc.codegen.functions import Functions
from dslc.codegen.laps import laps
from dslc.codegen.names import Names
from dslc.codegen.offsets import offsets
from dslc.codegen.phases import PhaseFunction, example_ns, phase_call, phase_functions, shared_phases
from dslc.codegen.prune import needed
from dslc.codegen.summary import summary, version
from dslc.codegen.templating import render
from dslc.codegen.text import tidy
from dslc.codegen.tools import tools
from dslc.hyperparameters import values
from dslc.lowering.lower import SAMPLE_WEIGHTS
from dslc.operation import TARGET, Tensor
from dslc.passes.small_batch import largest_small_batch
from dslc.plan import Plan
from dslc.planning.planner import caller_tensors

Phases = Mapping[str, PhaseFunction]
TOOLS = "/* tools */"
"""Where they come, when it is known which of them the rest calls."""


@dataclass(frozen=True)
class Gathered:
    """An array of which the loop over mini-batches copies the rows of one batch to the buffer `staging`. `bytes`: the
    name of the array that an input may be instead; a target has none."""

    name: str
    type: str
    elements: int
    staging: str
    bytes: str | None


def emit(plan: Plan) -> CSource:
    """The C of a network."""
    names = Names(plan)
    functions = Functions(plan, names, plan.steps)
    phases = phase_functions(plan, names, functions)
    interface = _interface(plan, names)
    single = plan.itemsize == 4
    fields = list(values(plan.graph.network).items())
    header = render("network.h.j2", {**interface, "real": names.real, "hyperparameters": fields}, single)
    sharing = shared_phases(plan, phases)
    context: dict[str, object] = {
        **interface,
        **_numbers(plan),
        **_threads(plan, sharing),
        "header": header,
        "tools": TOOLS,
        "functions": list(functions.by_code.values()),
        "phases": list(dict.fromkeys(phases.values())),
        **_prediction(plan, names, phases),
        **_training(plan, names, phases),
    }
    context["offsets"] = offsets(names.constants.values(), {node.name for node in plan.graph.network.nodes})
    before, after = render("network.c.j2", context, single).split(TOOLS)
    used = needed(tools(plan, functions, bool(sharing)), before + after)
    return CSource(names.prefix, header, tidy(before + used + after))


def _interface(plan: Plan, names: Names) -> dict[str, object]:
    """What the public functions are called and take."""
    network = plan.graph.network
    return {
        "prefix": names.prefix,
        "inputs": [f"const {names.real} *{v.name}_in" for v in network.inputs],
        "outputs": [f"{names.real} *{h.name}_output" for h in network.answers],
        "trains": plan.graph.train is not None,
        "over_ranks": plan.graph.over_ranks,
        "targets": [names.declare(t) for t in _targets(plan)],
        "sample_weights": names.declare(SAMPLE_WEIGHTS),
        "stored": [f"const uint8_t *{_bytes(v.name)}" for v in network.inputs],
        "heads": len(network.heads),
        "answers": len(network.answers),
        "laps": len(laps(plan)) if plan.timed else 0,
    }


def _targets(plan: Plan) -> tuple[Tensor, ...]:
    """The targets in the order of the heads; none where the network does not train."""
    train = plan.graph.train
    if train is None:
        return ()
    found = {t.name: t for t in caller_tensors(train) if t.role == TARGET}
    return tuple(found[f"{head.name}_target"] for head in plan.graph.network.heads)


def _numbers(plan: Plan) -> dict[str, object]:
    return {
        "net": plan.graph.network.name,
        "mixes": any(node.layer.mixes and not node.frozen for node in plan.graph.network.nodes),
        "version": version(),
        "summary": summary(plan),
        "batch": plan.batch,
        "predicted": plan.steps[0].batch,
        "step_batch": plan.step_batch,
        "lanes": plan.target.lanes(plan.itemsize),
        "itemsize": plan.itemsize,
        "prediction_bytes": plan.arena_bytes(False),
        "training_bytes": plan.arena_bytes(True),
        "gradients_bytes": plan.arena_bytes(True, gradients=True),
    }


def _threads(plan: Plan, sharing: set[str]) -> dict[str, object]:
    """Which public functions share their work, and how much there is for an example."""
    return {
        "sharing": [function for function, runs in RUNS.items() if sharing & set(runs)],
        "threads": plan.threads,
        "example_ns": {function: example_ns(plan, runs) for function, runs in RUNS.items()},
        "small_batch_share": "predict_small_batch" in sharing,
    }


def _prediction(plan: Plan, names: Names, phases: Phases) -> dict[str, object]:
    """What the phases of a prediction are called with; an empty list for a phase that there is not."""
    predict, prepare = plan.steps[0], []
    if "prepared" in plan.kept:
        names.constant(predict, plan.kept["prepared"].tensor)
        prepare = phase_call(phases["predict_prepack"])
    small_batch = largest_small_batch(plan.graph.predict, plan.target.lanes(plan.itemsize))
    return {
        "small_batch": small_batch,
        "small_batch_arguments": phase_call(phases["predict_small_batch"], "first") if small_batch else [],
        "prepack_arguments": prepare,
        "predict_arguments": phase_call(phases["predict_forward"], "first"),
    }


def _training(plan: Plan, names: Names, phases: Phases) -> dict[str, object]:
    """What the phases of training are called with, and the arrays that the loop over mini-batches gathers."""
    train, gradients = plan.step("train"), plan.step("gradients")
    if train is None or gradients is None or plan.graph.train is None:
        empty = ("evaluate_arguments", "gathered", "gathered_arguments", "weights_staging")
        return {"sliced": False, **{key: [] for key in empty}}
    given = {t.name: t for t in caller_tensors(plan.graph.train)}
    order = [*(f"{v.name}_in" for v in plan.graph.network.inputs), *(t.name for t in _targets(plan))]
    stored = {f"{v.name}_in": _bytes(v.name) for v in plan.graph.network.inputs}
    gathered = [_gathered(given[name], names, stored.get(name)) for name in order]
    return {
        "sliced": plan.step_batch > plan.batch,
        "evaluate_arguments": phase_call(phases["predict_losses"], "first"),
        **_calls(plan, phases),
        "gathered": gathered,
        "weights_staging": names.staging(SAMPLE_WEIGHTS),
        "gathered_arguments": [f"(const {g.type} *)(net->arena + {g.staging})" for g in gathered],
    }


def _calls(plan: Plan, phases: Phases) -> dict[str, object]:
    """What the phases of `gradients` and `train` are called with, by the name of the phase."""
    sliced = plan.step_batch > plan.batch
    found: dict[str, object] = {"train_check_arguments": []}
    for step in (s for s in plan.steps if s.name != "predict"):
        for phase in step.phases:
            name = f"{step.name}_{phase.name}"
            in_slice = sliced and phase.name in ("forward", "backward")
            words = _words(step.name, phase.name, in_slice, plan)
            if step.name == "gradients":
                found[name] = phases[name].name
            of_rank = plan.graph.over_ranks and step.name == "train"
            start = f"(int64_t){'done' if of_rank else 'earlier'}" if in_slice else ""
            found[f"{name}_arguments"] = phase_call(phases[name], start, words, step.name == "train")
    return found


def _words(step: str, phase: str, in_slice: bool, plan: Plan) -> dict[str, str]:
    """What a phase is told in place of `n` and its like: of a slice, or of this rank's part of the mini-batch."""
    if plan.step_batch > plan.batch:
        of_slice = {"total_weight": "slice_weight", "sample_weights": "slice_weights", "loss": "call->slice_loss"}
        gathered = plan.graph.network.inputs if step == "train" else ()
        inputs = {f"{v.name}_in": f"call->{v.name}_in + (int64_t)first * {v.elements}" for v in gathered}
        if in_slice:
            return {**of_slice, **inputs, **({} if step == "train" else {"last_slice": "0", "idle": "0"})}
        if not plan.graph.over_ranks or step == "gradients":
            return {"n": "call->n"}
        return {"n": "own", **({} if phase == "begin" else {"total_weight": "all_weight"})}
    if not plan.graph.over_ranks:
        return {}
    if step == "gradients":
        return {"earlier": "0"}
    of_all = {} if phase == "forward" else {"total_weight": "net->ranks->total_weight"}
    return {"earlier": "net->ranks->earlier", **of_all}


def _bytes(value: str) -> str:
    """What the array is called that holds an input as bytes."""
    return f"{value}_bytes"


def _gathered(tensor: Tensor, names: Names, stored: str | None) -> Gathered:
    return Gathered(tensor.name, names.c_type(tensor), tensor.elements, names.staging(tensor), stored)
