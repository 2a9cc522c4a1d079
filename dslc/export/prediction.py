"""The plan of a network that only predicts: constants, which never change, apart from a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dslc.graph import PREPACK, Graph, Step, rows
from dslc.ir import Network
from dslc.kernels import _bands, detail
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.lowering.lower import lower
from dslc.operation import ACTIVATION, PARAMETER, Operation, Tensor
from dslc.passes.in_place import overwrite
from dslc.passes.memory import place
from dslc.passes.threads import share_work
from dslc.plan import Buffer, Kernel, Plan, PlannedPhase, PlannedStep, Region
from dslc.planning.planner import Options, make_plan
from dslc.planning.slicing import Division
from dslc.planning.verifier import verify_plan
from dslc.target import Target

WITHOUT_THREADS = "threads"
"""One thread runs everything: no pass needs to look for what is worth sharing."""


@dataclass(frozen=True)
class Prediction:
    """`plan` has no prepacking: its `kept` buffers are the constants, at offsets in an image of their own, and its
    workspace begins at 0. `prepack` are the kernels whose results the exporter computes; `layouts` are those of all
    tensors that these read and write."""

    plan: Plan
    prepack: tuple[Kernel, ...]
    layouts: Mapping[str, Layout]

    @property
    def constants(self) -> Mapping[str, Buffer]:
        """What the forward pass reads and nothing writes, by tensor name."""
        return self.plan.kept


def plan_prediction(network: Network, target: Target, batch: int, direct: bool = False, threads: int = 1) -> Prediction:
    """Plans the prediction of at most `batch` examples in a call. `direct`: with direct convolutions only. `threads`:
    the most that share it.

    Raises:
        PlanError: the plan is wrong, which is a bug in the planner.
    """
    graph = _forward_only(lower(network))
    algorithms = (
        tuple((op.name, _direct_algorithm(op)) for op in graph.predict.operations if op.kind == "conv_forward")
        if direct
        else ()
    )
    options = Options(() if threads > 1 else (WITHOUT_THREADS,), algorithms)
    plan = make_plan(graph, target, Division(batch, batch, batch), threads, options)
    verify_plan(plan)
    step = plan.steps[0]
    prepack = tuple(k for phase in step.phases if phase.name == PREPACK for k in phase.kernels)
    phases = tuple(phase for phase in step.phases if phase.name != PREPACK)
    layouts = {name: buffer.layout for name, buffer in {**plan.kept, **step.workspace}.items()}
    return Prediction(_apart(plan, phases, layouts), prepack, layouts)


def _forward_only(graph: Graph) -> Graph:
    """The graph without training, and without the losses of a prediction."""
    forward = tuple(phase for phase in graph.predict.phases if phase.name == "forward")
    return Graph(graph.network, Step("predict", forward))


def _direct_algorithm(op: Operation) -> str:
    """Without a padded copy of the image."""
    return "bands" if _bands.suits(detail(op, ConvDetail)) else "direct"


def _apart(plan: Plan, phases: tuple[PlannedPhase, ...], layouts: Mapping[str, Layout]) -> Plan:
    """The plan with constants and workspace in memories of their own."""
    written = {t for phase in phases for kernel in phase.kernels for t in kernel.operation.writes}
    phases = tuple(replace(phase, kernels=tuple(_of_constants(k, written) for k in phase.kernels)) for phase in phases)
    read = dict.fromkeys(t for phase in phases for kernel in phase.kernels for t in kernel.operation.reads)
    lanes = plan.target.lanes(plan.itemsize)
    constants, end = _in_a_row([t for t in read if t.role == PARAMETER], layouts, lanes)
    places = {**{t.name: Layout(t.shape) for t in written}, **layouts}
    if len(phases) == 1 and plan.threads == 1:
        phases = tuple(replace(phase, kernels=overwrite(phase.kernels, places, plan.batch)) for phase in phases)
    in_rows = [[k for phase in row for k in phase.kernels] for row in rows("predict", phases)]
    workspace = place(in_rows, places, plan.batch, plan.itemsize, 0)
    if plan.threads > 1:
        phases = share_work(phases, _place_of(workspace))
    used = max((b.offset + b.elements for b in workspace.values()), default=0)
    regions = (Region("constants", 0, max(end, 1) + lanes - 1), Region("workspace", 0, max(used, 1) + lanes - 1))
    step = PlannedStep("predict", phases, workspace, plan.batch)
    return replace(plan, steps=(step,), kept=constants, regions=regions)


def _place_of(workspace: Mapping[str, Buffer]) -> Callable[[Tensor], tuple[str, int, int]]:
    """Which memory a tensor lies in, and where; all but the workspace are only read, or the caller's own arrays."""

    def where(tensor: Tensor) -> tuple[str, int, int]:
        buffer = workspace.get(tensor.name)
        return (tensor.name, 0, 1) if buffer is None else ("workspace", buffer.offset, buffer.offset + buffer.elements)

    return where


def _of_constants(kernel: Kernel, written: set[Tensor]) -> Kernel:
    """The kernel with all that it reads and nothing writes as parameters, prepacked tensors among them."""
    reads = tuple(
        replace(t, role=PARAMETER) if t.role == ACTIVATION and t not in written else t for t in kernel.operation.reads
    )
    return replace(kernel, operation=replace(kernel.operation, reads=reads))


def _in_a_row(tensors: list[Tensor], layouts: Mapping[str, Layout], lanes: int) -> tuple[dict[str, Buffer], int]:
    """A buffer for each tensor, one after the other at multiples of a vector, and the end of the last."""
    buffers: dict[str, Buffer] = {}
    offset = 0
    for tensor in tensors:
        layout = layouts[tensor.name]
        size = -(-layout.elements // lanes) * lanes
        buffers[tensor.name] = Buffer(tensor, layout, offset, size)
        offset += size
    return buffers, offset
