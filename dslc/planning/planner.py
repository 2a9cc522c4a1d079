"""`graph.Graph` to `plan.Plan`: runs the passes in order and lays out the arena."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

from dslc import kernels
from dslc.graph import BEGIN, Graph, Phase, Step, rows
from dslc.kernels import Setting
from dslc.layout import Layout
from dslc.operation import GRADIENT, INPUT, PARAMETER, STATE, TARGET, WEIGHTS, Operation, Tensor
from dslc.passes.algorithms import choose_algorithms
from dslc.passes.buckets import bucketed, sum_in_buckets
from dslc.passes.dead import remove_dead_operations
from dslc.passes.fold import fold_batchnorm
from dslc.passes.fused_backward import fuse_backward
from dslc.passes.fused_update import fuse_updates
from dslc.passes.fusion import fuse
from dslc.passes.groups import widen_groups
from dslc.passes.layouts import choose_layouts
from dslc.passes.memory import aligned_size, place
from dslc.passes.pooling import fuse_pooling
from dslc.passes.prepack import prepack_parameters, prepared
from dslc.passes.small_batch import add_small_batch_phase
from dslc.passes.threads import MIN_PARALLEL_NS, estimated_ns, share_work
from dslc.plan import Buffer, Kernel, Plan, PlannedPhase, PlannedStep, Region, Work
from dslc.planning.recomputation import plan_in_memory
from dslc.planning.slicing import Division
from dslc.target import Target

ITEMSIZE = {"float32": 4, "float64": 8}

HARDLY_SLOWER = 1.05
"""Threads that win less than this are left to others."""

REWRITES: dict[str, Callable[[Graph], Graph]] = {
    "dead": remove_dead_operations,
    "fold": fold_batchnorm,
    "fusion": fuse,
    "pooling": fuse_pooling,
}
"""The passes from graph to graph that need nothing else, in order."""
PASSES = (
    "groups",
    "small_batch",
    *REWRITES,
    "recompute",
    "fused_update",
    "prepack",
    "fused_backward",
    "memory",
    "threads",
)
"""The passes that can be disabled, by the names that `--disable` accepts."""


@dataclass(frozen=True)
class Options:
    """Options of planning: passes to disable, and pairs of operation and algorithm that override the cost estimates.
    `gathers`: there is room to gather mini-batches for a loop over them.

    Raises:
        ValueError: there is no such pass.
    """

    disable: tuple[str, ...] = ()
    algorithms: tuple[tuple[str, str], ...] = ()
    gathers: bool = True

    def __post_init__(self) -> None:
        for name in self.disable:
            if name not in PASSES:
                raise ValueError(f"there is no pass {name!r}; there are {', '.join(PASSES)}")


DEFAULT = Options()


def default_setting(graph: Graph, target: Target, batch: int, threads: int) -> Setting:
    """What kernels know of the machine and the mini-batch, or a slice of it, before layouts are chosen."""
    itemsize = ITEMSIZE[graph.network.dtype]
    partial = graph.over_ranks or graph.sliced
    return Setting(
        {}, batch, itemsize, target.lanes(itemsize), target.tile_rows, threads, graph.network.precise, partial
    )


def make_plan(graph: Graph, target: Target, division: Division, threads: int = 1, options: Options = DEFAULT) -> Plan:
    """Plans a graph for a machine.

    division: the largest mini-batch, and how many of its examples run at a time. threads: at most this many; each gets
    its own workspace.
    """
    setting = default_setting(graph, target, division.slice, threads)
    work = _work(graph)
    graph = _rewritten(graph, setting, options)

    def plan_of(graph: Graph, prepack: bool = True) -> Plan:
        prepack = prepack and "prepack" not in options.disable
        return replace(_laid_out(graph, setting, target, options, prepack, division), work=work)

    training = graph.network.training
    if training is None or training.memory is None or "recompute" in options.disable:
        return plan_of(graph)
    return plan_in_memory(graph, setting, training.memory, plan_of)


def _work(graph: Graph) -> Work | None:
    """The multiply-adds of a training step as its layers were lowered."""
    if graph.train is None:
        return None
    done = {phase.name: sum(op.multiply_adds for op in phase.operations) for phase in graph.train.phases}
    return Work(done["forward"], done["backward"])


def _rewritten(graph: Graph, setting: Setting, options: Options) -> Graph:
    """The graph with algorithms chosen and operations fused."""
    wanted = dict(options.algorithms)
    graph = graph if "groups" in options.disable else widen_groups(graph, setting.lanes)
    chosen = choose_algorithms(graph, setting, wanted)
    graph = chosen if "small_batch" in options.disable else add_small_batch_phase(graph, chosen, setting, wanted)
    for name, change in REWRITES.items():
        graph = graph if name in options.disable else change(graph)
    return graph


def _laid_out(
    graph: Graph, setting: Setting, target: Target, options: Options, prepack: bool, division: Division
) -> Plan:
    """The plan of a graph that only updates are still fused in: layouts, kernels, memory and threads."""
    capacity, itemsize, threads = setting.batch, setting.itemsize, setting.threads
    graph = graph if "fused_update" in options.disable else fuse_updates(graph)
    graph, layouts = choose_layouts(graph, setting.lanes)
    everywhere = {name: layout for step in graph.steps for name, layout in layouts[step.name].items()}
    graph = prepack_parameters(graph) if prepack else graph
    if "fused_backward" not in options.disable:
        graph = fuse_backward(graph, replace(setting, layouts=layouts.get("train", {})))
    graph = sum_in_buckets(graph)
    tensors = list(dict.fromkeys((*bucketed(graph), *(t for step in graph.steps for t in step.tensors))))
    kept: dict[str, Buffer] = {}
    parameters = _keep(tensors, PARAMETER, everywhere, itemsize, 0, kept)
    flag = aligned_size(1, itemsize) if prepared(graph.predict) else 0
    if flag:
        kept["prepared"] = Buffer(Tensor("prepared", (1,), batched=False), Layout((1,)), parameters, flag)
    batches = {step.name: division.predicted if step.name == "predict" else capacity for step in graph.steps}
    drafts = [
        Draft.of(step, replace(setting, layouts=layouts[step.name], batch=batches[step.name])) for step in graph.steps
    ]
    start, apart = parameters + flag, "memory" in options.disable
    places: dict[str, dict[str, Buffer]] = {}
    for together in _together(drafts):
        places |= dict.fromkeys((draft.name for draft in together), _places(together, itemsize, start, apart))
    worth = inf if "threads" in options.disable else MIN_PARALLEL_NS
    steps = _planned(drafts, places, kept, worth)
    prediction = _end(steps[0].workspace, parameters + flag)
    workspace = max(_end(step.workspace, parameters + flag) for step in steps)
    staging = _staging(graph, division, itemsize, workspace, kept) if options.gathers else workspace
    trained = set(graph.train.tensors) if graph.train else set()
    gradients = _keep([t for t in tensors if t in trained], GRADIENT, everywhere, itemsize, staging, kept)
    states = _keep(tensors, STATE, everywhere, itemsize, gradients, kept)
    end = _keep([t for t in tensors if t not in trained], GRADIENT, everywhere, itemsize, states, kept)
    regions = (
        Region("parameters", 0, parameters),
        Region("prediction", parameters, prediction - parameters),
        Region("activations", parameters, staging - parameters),
        Region("gradients", staging, gradients - staging),
        Region("state", gradients, states - gradients),
        Region("requested_gradients", states, end - states),
    )
    return Plan(graph, target, itemsize, capacity, division.examples, threads, tuple(steps), kept, regions)


def profitable_threads(plan: Plan) -> int:
    """The fewest threads, of those that the plan is made for, that are as good as any: one more would hardly help."""
    phases = [phase for step in plan.steps for phase in step.phases]
    times = {count: estimated_ns(phases, count) for count in range(1, plan.threads + 1)}
    enough = HARDLY_SLOWER * min(times.values())
    return next(count for count, time in times.items() if time <= enough)


def _keep(
    tensors: list[Tensor], role: str, layouts: Mapping[str, Layout], itemsize: int, offset: int, kept: dict[str, Buffer]
) -> int:
    """Places all tensors of a role one after the other, adds them to `kept`, and returns the offset of their end."""
    for tensor in tensors:
        if tensor.role == role:
            size = aligned_size(layouts[tensor.name].elements, itemsize)
            kept[tensor.name] = Buffer(tensor, layouts[tensor.name], offset, size)
            offset += size
    return offset


def _staging(graph: Graph, division: Division, itemsize: int, offset: int, kept: dict[str, Buffer]) -> int:
    """Adds the buffers in which the training loop gathers a mini-batch, one for each target and the sample weights, and
    for each input, of which it gathers a slice at a time."""
    if graph.train is None:
        return offset
    for tensor in caller_tensors(graph.train):
        count = division.slice if tensor.role == INPUT else division.examples
        size = aligned_size(tensor.elements * count, itemsize)
        kept[f"{tensor.name}_staging"] = Buffer(tensor, Layout(tensor.shape), offset, size)
        offset += size
    return offset


def caller_tensors(step: Step) -> tuple[Tensor, ...]:
    """What the caller passes to a step, inputs, targets and sample weights, in the order of first use."""
    return tuple(t for t in step.tensors if t.role in (INPUT, TARGET, WEIGHTS))


@dataclass(frozen=True)
class Draft:
    """A step before its memory is planned: its kernels, the layouts of all that they touch, the tensors that share
    memory with nothing else, and the most examples at a time."""

    name: str
    phases: tuple[PlannedPhase, ...]
    layouts: Mapping[str, Layout]
    persistent: tuple[Tensor, ...]
    batch: int

    @staticmethod
    def of(step: Step, setting: Setting) -> Draft:
        """A step with the cheapest kernels."""
        phases = tuple(_plan_phase(phase, setting) for phase in step.phases)
        run = [kernel for phase in phases for kernel in phase.kernels]
        persistent = (*prepared(step), *_begun(step))
        return Draft(step.name, phases, _with_scratch(run, setting), persistent, setting.batch)

    @property
    def rows(self) -> list[list[Kernel]]:
        """The kernels of every row of phases."""
        return [[kernel for phase in row for kernel in phase.kernels] for row in rows(self.name, self.phases)]

    @cached_property
    def tensors(self) -> dict[Tensor, tuple[Layout | None, Tensor | None]]:
        """What the kernels touch: the layout, and what a tensor is another name for."""
        run = [kernel for phase in self.phases for kernel in phase.kernels]
        aliases = {k.operation.writes[0]: k.operation.reads[0] for k in run if k.variant.is_alias}
        used = dict.fromkeys(t for k in run for t in (*k.operation.reads, *k.operation.writes))
        return {t: (self.layouts.get(t.name), aliases.get(t)) for t in used}


def _agree(drafts: Sequence[Draft]) -> bool:
    """Whether steps store what they have in common in one way. Then it lies at the same place in all of them, so that
    they share functions of C."""
    found: dict[str, tuple[Tensor, Layout | None, Tensor | None]] = {}
    return all(
        found.setdefault(tensor.name, (tensor, *how)) == (tensor, *how)
        for draft in drafts
        for tensor, how in draft.tensors.items()
    )


def _together(drafts: Sequence[Draft]) -> list[Sequence[Draft]]:
    """The steps that are placed together."""
    training = [draft for draft in drafts if draft.name != "predict"]
    return [drafts[:1], training] if training and _agree(training) else [[draft] for draft in drafts]


def _places(drafts: Sequence[Draft], itemsize: int, start: int, apart: bool) -> dict[str, Buffer]:
    """The buffers of steps that never run at the same time, with as many examples."""
    in_rows = [row for draft in drafts for row in draft.rows]
    layouts = {name: layout for draft in drafts for name, layout in draft.layouts.items()}
    everything = [tensor for draft in drafts for tensor in draft.tensors]
    persistent = everything if apart else [tensor for draft in drafts for tensor in draft.persistent]
    return place(in_rows, layouts, drafts[0].batch, itemsize, start, persistent)


def _planned(
    drafts: Sequence[Draft], places: Mapping[str, Mapping[str, Buffer]], kept: Mapping[str, Buffer], worth: float
) -> list[PlannedStep]:
    """The steps with their buffers and barriers; `gradients` has those of `train`, with which it shares functions."""
    found: dict[str, PlannedStep] = {}
    for draft in sorted(drafts, key=lambda d: d.name == "gradients"):
        like = found["train"].phases if draft.name == "gradients" and "train" in found else ()
        found[draft.name] = _planned_step(draft, places[draft.name], kept, worth, like)
    return [found[draft.name] for draft in drafts]


def _planned_step(
    draft: Draft,
    places: Mapping[str, Buffer],
    kept: Mapping[str, Buffer],
    worth: float,
    like: tuple[PlannedPhase, ...],
) -> PlannedStep:
    names = {tensor.name for tensor in draft.tensors}
    workspace = {name: buffer for name, buffer in places.items() if name in names}

    def where(tensor: Tensor) -> tuple[str, int, int]:
        buffer = workspace.get(tensor.name) or kept.get(tensor.name)
        if buffer is None:
            return (tensor.name, 0, 1)
        return ("arena", buffer.offset, buffer.offset + buffer.elements)

    return PlannedStep(draft.name, share_work(draft.phases, where, worth, like), workspace, draft.batch)


def _begun(step: Step) -> tuple[Tensor, ...]:
    """The tensors that `begin` writes, which all slices read."""
    return tuple(t for phase in step.phases if phase.name == BEGIN for op in phase.operations for t in op.writes)


def _with_scratch(planned: list[Kernel], setting: Setting) -> Mapping[str, Layout]:
    """The layouts, extended by those of the kernels' workspace."""
    written = {t.name: Layout(t.shape) for kernel in planned for t in kernel.operation.writes}
    return {**written, **setting.layouts}


def _plan_phase(phase: Phase, setting: Setting) -> PlannedPhase:
    return PlannedPhase(phase.name, tuple(_plan_operation(op, setting) for op in phase.operations))


def _plan_operation(op: Operation, setting: Setting) -> Kernel:
    """The cheapest kernel; its workspace is added to the tensors that it writes."""
    variant = kernels.choose(op, setting)
    if not variant.scratch:
        return Kernel(op, variant)
    scratch = tuple(Tensor(f"{op.name}_{s.name}", (s.elements,), batched=False) for s in variant.scratch)
    return Kernel(replace(op, writes=(*op.writes, *scratch)), variant)


def _end(workspace: Mapping[str, Buffer], start: int) -> int:
    return max((b.offset + b.elements for b in workspace.values()), default=start)
