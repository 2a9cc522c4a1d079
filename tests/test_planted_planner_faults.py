"""The verifier of plans refuses faults that are planted in right plans, and says what is wrong; what it cannot see,
because only numbers go wrong, `dslc verify` finds.

A fault changes a plan as a mistake of the planner would: a barrier is dropped, a buffer too small, an offset wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from dslc.codegen import build
from dslc.codegen.emit import emit
from dslc.compiler import check_file, check_text, plan_network
from dslc.graph import Step
from dslc.layers import X
from dslc.layout import Layout
from dslc.plan import Buffer, Kernel, Plan, PlannedStep
from dslc.planning.plan_error import PlanError
from dslc.planning.verifier import verify_plan
from dslc.proofs.verify import verify
from dslc.runtime.model import Model
from dslc.runtime.native import compiled
from dslc.target import TARGETS
from helpers import NETWORKS, REPO

TARGET = TARGETS["x86-64-v3"]
TRAIN = "train {\n  loss mse\n  optimizer sgd(0.1)\n  batch 16\n}\n"
SEGMENTS = f"""net Segments {{
  input image: 12x12x3
  conv(16, 3x3, pad=same) -> relu
  conv(16, 3x3, pad=same) -> relu
  conv(2, 1x1) -> sigmoid
}}
{TRAIN}"""
"""With a phase for few examples, and layers with one example a lane."""
FAR = f"""net Far {{
  input image: 66x64x17
  conv(64, 3x3, pad=same) -> relu -> global_avgpool -> dense(2)
}}
{TRAIN}"""
"""With a result that no cache holds."""
STREAMED = """net Streamed {
  input x: 600
  dense(600) -> tanh -> dense(600) -> tanh -> dense(2)
}
train {
  loss mse
  optimizer adam(0.01)
  batch 4
}
"""
"""With both ways back through a large dense layer at once."""
TEXTS = {**NETWORKS, "segments": SEGMENTS, "far": FAR, "streamed": STREAMED}

Change = Callable[[Plan], Plan]


@cache
def plan_of(net: str) -> Plan:
    """The right plan, for two threads."""
    network = check_text(TEXTS[net]) if net in TEXTS else check_file(REPO / "specs" / f"{net}.net")
    return plan_network(network, TARGET, threads=2)


# ------------------------------------------------------------------------------------------------ how plans go wrong


def in_phase(step: str, phase: str, change: Callable[[list[Kernel]], list[Kernel]]) -> Change:
    """The plan with other kernels in a phase."""

    def changed(plan: Plan) -> Plan:
        def in_step(planned: PlannedStep) -> PlannedStep:
            phases = tuple(
                replace(p, kernels=tuple(change(list(p.kernels)))) if p.name == phase else p for p in planned.phases
            )
            return replace(planned, phases=phases)

        return replace(plan, steps=tuple(in_step(s) if s.name == step else s for s in plan.steps))

    return changed


def kernel(step: str, phase: str, name: str, change: Callable[[Kernel], Kernel]) -> Change:
    """The plan with another kernel in the place of that of an operation."""

    def changed(kernels: list[Kernel]) -> list[Kernel]:
        kernels[at(kernels, name)] = change(kernels[at(kernels, name)])
        return kernels

    return in_phase(step, phase, changed)


def at(kernels: list[Kernel], name: str) -> int:
    (found,) = [i for i, k in enumerate(kernels) if k.operation.name == name]
    return found


def barrier(step: str, phase: str, name: str) -> Change:
    """Without the barrier after an operation."""

    def without(one: Kernel) -> Kernel:
        assert one.barrier
        return replace(one, barrier=False)

    return kernel(step, phase, name, without)


def shared(step: str, phase: str, name: str) -> Change:
    """All threads share what the first did alone."""

    def by_all(one: Kernel) -> Kernel:
        assert not one.parallel
        return replace(one, parallel=True)

    return kernel(step, phase, name, by_all)


def dropped(step: str, phase: str, name: str) -> Change:
    """Without the kernel of an operation, whose barrier goes to the one before."""

    def without(kernels: list[Kernel]) -> list[Kernel]:
        gone = kernels.pop(at(kernels, name))
        if kernels:
            kernels[-1] = replace(kernels[-1], barrier=kernels[-1].barrier or gone.barrier)
        return kernels

    return in_phase(step, phase, without)


def forgotten(step: str, phase: str, name: str) -> Change:
    """The same, and in the graph too: a pass has lost the operation."""

    def changed(plan: Plan) -> Plan:
        def in_step(s: Step) -> Step:
            kept = [
                replace(p, operations=tuple(op for op in p.operations if p.name != phase or op.name != name))
                for p in s.phases
            ]
            return replace(s, phases=tuple(kept)) if s.name == step else s

        return dropped(step, phase, name)(replace(plan, graph=plan.graph.map(in_step)))

    return changed


def swapped(step: str, phase: str, name: str, other: str) -> Change:
    """Two kernels change places; all meet after each."""

    def changed(kernels: list[Kernel]) -> list[Kernel]:
        i, k = at(kernels, name), at(kernels, other)
        kernels[i], kernels[k] = replace(kernels[k], barrier=True), replace(kernels[i], barrier=True)
        return kernels

    return in_phase(step, phase, changed)


def without_phase(step: str, phase: str) -> Change:
    """A phase is skipped."""

    def changed(plan: Plan) -> Plan:
        def in_step(s: PlannedStep) -> PlannedStep:
            return replace(s, phases=tuple(p for p in s.phases if p.name != phase)) if s.name == step else s

        def in_graph(s: Step) -> Step:
            return replace(s, phases=tuple(p for p in s.phases if p.name != phase)) if s.name == step else s

        return replace(plan, steps=tuple(map(in_step, plan.steps)), graph=plan.graph.map(in_graph))

    return changed


def buffer(step: str, name: str, change: Callable[[Buffer], Buffer]) -> Change:
    """Another place for a tensor; step '' for what is kept."""

    def changed(plan: Plan) -> Plan:
        if not step:
            return replace(plan, kept={**plan.kept, name: change(plan.kept[name])})

        def in_step(s: PlannedStep) -> PlannedStep:
            return replace(s, workspace={**s.workspace, name: change(s.workspace[name])}) if s.name == step else s

        return replace(plan, steps=tuple(map(in_step, plan.steps)))

    return changed


def too_small(step: str, name: str) -> Change:
    """The buffer lacks a vector."""

    def changed(plan: Plan) -> Plan:
        def shrunk(b: Buffer) -> Buffer:
            return replace(b, elements=b.layout.total(plan.batch if b.tensor.batched else 1) - TARGET.lanes(4))

        return buffer(step, name, shrunk)(plan)

    return changed


def moved(step: str, name: str, by: int) -> Change:
    return buffer(step, name, lambda b: replace(b, offset=b.offset + by))


def on_top(step: str, name: str, other: str) -> Change:
    """A tensor lies where another does."""

    def changed(plan: Plan) -> Plan:
        planned = plan.step(step)
        assert planned is not None
        place = planned.workspace.get(other) or plan.kept[other]
        return buffer(step, name, lambda b: replace(b, offset=place.offset))(plan)

    return changed


def lying(step: str, name: str, **changes: Any) -> Change:
    """A tensor is said to lie otherwise."""
    return buffer(step, name, lambda b: replace(b, layout=replace(b.layout, **changes)))


def context(step: str, phase: str, name: str, **changes: Any) -> Change:
    """A kernel is printed with other numbers."""

    def changed(one: Kernel) -> Kernel:
        assert changes.keys() <= one.variant.context.keys()
        return replace(one, variant=replace(one.variant, context={**one.variant.context, **changes}))

    return kernel(step, phase, name, changed)


def less_scratch(step: str, phase: str, name: str, what: str) -> Change:
    """Scratch memory for one thread less, and it is planned so."""

    def smaller(one: Kernel) -> Kernel:
        scratch = tuple(replace(s, elements=s.elements // 2) if s.name == what else s for s in one.variant.scratch)
        tensor = f"{name}_{what}"
        writes = tuple(replace(t, shape=(t.elements // 2,)) if t.name == tensor else t for t in one.operation.writes)
        return replace(
            one, operation=replace(one.operation, writes=writes), variant=replace(one.variant, scratch=scratch)
        )

    def halved(b: Buffer) -> Buffer:
        shape = (b.tensor.elements // 2,)
        return replace(b, tensor=replace(b.tensor, shape=shape), layout=Layout(shape), elements=b.elements // 2)

    one_thread, half = kernel(step, phase, name, smaller), buffer(step, f"{name}_{what}", halved)
    return lambda plan: half(one_thread(plan))


def reading(step: str, phase: str, name: str, instead: Mapping[str, str]) -> Change:
    """An operation reads other tensors, in plan and graph."""

    def changed(plan: Plan) -> Plan:
        known = {t.name: t for s in plan.graph.steps for t in s.tensors}
        swap = {known[a]: known[b] for a, b in instead.items()}

        def other(op: Any) -> Any:
            return replace(op, reads=tuple(swap.get(t, t) for t in op.reads)) if op.name == name else op

        def in_graph(s: Step) -> Step:
            here = [replace(p, operations=tuple(map(other, p.operations))) if p.name == phase else p for p in s.phases]
            return replace(s, phases=tuple(here)) if s.name == step else s

        plan = replace(plan, graph=plan.graph.map(in_graph))
        return kernel(step, phase, name, lambda k: replace(k, operation=other(k.operation)))(plan)

    return changed


# ------------------------------------------------------------------------------------------------ the faults


@dataclass(frozen=True)
class Fault:
    """A change of a network's plan, and what the verifier says of it."""

    net: str
    change: Change
    says: str


FAULTS = {
    # barriers
    "no barrier before a convolution reads": Fault(
        "segments", barrier("predict", "small_batch", "conv1_forward_small_batch"), "relu1_out_small_batch.* too early"
    ),
    "no barrier after padding, by one thread": Fault(
        "segments", barrier("predict", "small_batch", "image_in_pad"), "image_in_pad too early"
    ),
    "no barrier between chunks and their sum": Fault(
        "residual", barrier("train", "forward", "batchnorm1_statistics"), "batchnorm1_moments too early"
    ),
    "no barrier where memory is used again": Fault(
        "filters", barrier("train", "backward", "conv1_backward_weight_products"), "a barrier is missing"
    ),
    "no barrier at the end of a phase": Fault(
        "lenet5", barrier("train", "update", "dense3_bias_update"), "no barrier at the end of train update"
    ),
    "no barrier at the end of what is prepared": Fault(
        "filters",
        barrier("predict", "prepack", "conv1_weight_winograd4x3"),
        "no barrier at the end of predict prepack",
    ),
    "a dependent kernel shared without a barrier": Fault(
        "residual", shared("predict", "losses", "sum_losses"), "output_example_loss too early"
    ),
    "a kernel shared that reads what one thread makes": Fault(
        "segments", shared("predict", "forward", "output_output_from_lanes"), "output_output_in_lanes too early"
    ),
    # order
    "a copy is made after it is read": Fault(
        "segments", swapped("predict", "forward", "image_in_pad", "conv1_forward"), "was not written before"
    ),
    "a sum before its chunks": Fault(
        "residual",
        swapped("train", "backward", "batchnorm8_backward_affine", "batchnorm8_merge_affine"),
        "batchnorm8_affine_chunks, which was not written before",
    ),
    "weights are updated before dx reads them": Fault(
        "large",
        swapped("train", "backward", "dense4_backward_input", "dense4_backward_weight_update"),
        "dense4_weight, which was already updated",
    ),
    "a loss before its logits": Fault(
        "residual", swapped("train", "forward", "dense1_forward", "output_loss"), "dense1_out, which was not written"
    ),
    # what is done
    "prepare is skipped": Fault(
        "filters",
        lambda plan: without_phase("predict", "prepack")(
            replace(plan, kept={name: b for name, b in plan.kept.items() if name != "prepared"})
        ),
        "conv1_weight_winograd4x3, which was not written before",
    ),
    "prepare is skipped, and its flag is there": Fault("filters", without_phase("predict", "prepack"), "flag"),
    "the phase for few examples reads a copy of the other": Fault(
        "segments",
        forgotten("predict", "small_batch", "image_in_pad"),
        "conv1_forward_small_batch in predict small_batch reads image_in_pad, which was not written before",
    ),
    "the phase for few examples reads an activation of the other": Fault(
        "segments",
        reading("predict", "small_batch", "conv3_forward_small_batch", {"relu2_out_small_batch": "relu2_out"}),
        "relu2_out, which was not written before",
    ),
    "a prediction reads targets": Fault(
        "segments",
        reading("predict", "small_batch", "conv3_forward_small_batch", {"conv3_bias": "output_target"}),
        "is not passed to it",
    ),
    "what is prepared reads the input": Fault(
        "filters", reading("predict", "prepack", "conv1_weight_winograd4x3", {"conv1_weight": "image_in"}), "image_in"
    ),
    "a kernel is left out": Fault(
        "lenet5", dropped("predict", "forward", "dense1_forward"), "leaves out dense1_forward"
    ),
    "an update is left out": Fault(
        "lenet5", dropped("train", "update", "conv1_bias_update"), "leaves out conv1_bias_up"
    ),
    "a pass has lost an update": Fault(
        "lenet5", forgotten("train", "update", "conv1_bias_update"), "train does not write conv1_bias"
    ),
    "a pass has lost a gradient": Fault(
        "lenet5", forgotten("gradients", "backward", "conv1_merge_bias"), "gradients does not write conv1_bias_grad"
    ),
    "a pass has lost the output": Fault(
        "segments",
        forgotten("predict", "small_batch", "conv3_forward_small_batch"),
        "output_output by the end of the phase small_batch",
    ),
    "a pass has lost an activation": Fault(
        "residual", forgotten("train", "forward", "batchnorm3_forward"), "relu3_out, which was not written before"
    ),
    # places
    "a workspace buffer lacks a vector": Fault(
        "residual", too_small("train", "relu1_out"), "relu1_out takes .* has room"
    ),
    "a padded copy lacks a vector": Fault("segments", too_small("predict", "image_in_pad"), "image_in_pad takes"),
    "a parameter lacks a vector": Fault("large", too_small("", "dense2_weight"), "dense2_weight takes"),
    "examples in lanes lack a vector": Fault(
        "segments", too_small("train", "relu2_out_to_lanes"), "relu2_out_to_lanes"
    ),
    "an offset is misaligned": Fault("residual", moved("train", "conv1_out", 1), "is not aligned"),
    "an offset is misaligned by half a line": Fault("far", moved("predict", "relu1_out", 8), "is not aligned"),
    "two live activations share memory": Fault(
        "residual", on_top("train", "relu2_out", "relu1_out"), "relu1_out, which was overwritten"
    ),
    "an activation lies on one that is read backward": Fault(
        "residual", on_top("train", "output_loss_grad", "conv1_out"), "which was overwritten"
    ),
    "a result lies on what its kernel reads": Fault(
        "filters",
        on_top("predict", "conv1_forward_squares", "relu1_out"),
        "conv1_forward writes .* which overlaps",
    ),
    "scratch memory lies on a live activation": Fault(
        "residual", on_top("predict", "conv1_folded_bias", "conv2_forward_squares"), "conv1_folded_bias"
    ),
    "what is prepared is written over": Fault(
        "filters", on_top("predict", "conv1_forward_products", "conv1_weight_winograd4x3"), "conv1_weight_winograd4x3"
    ),
    "few examples write over what is prepared": Fault(
        "segments", on_top("predict", "conv3_weight_pack_filters", "relu2_out"), "conv3_weight_pack_filters, which"
    ),
    "an activation lies on a parameter": Fault(
        "residual", on_top("predict", "dense1_out", "dense1_weight"), "outside of the prediction|which is kept"
    ),
    "a gradient lies on optimizer state": Fault(
        "large",
        lambda plan: moved(
            "", "dense1_bias_grad", plan.kept["dense1_bias_v_state"].offset - plan.kept["dense1_bias_grad"].offset
        )(plan),
        "kept in the same memory",
    ),
    "a buffer lies outside of its region": Fault(
        "residual",
        lambda plan: moved("predict", "relu1_out", plan.region("gradients").offset)(plan),
        "outside of the prediction|beyond the arena",
    ),
    "an alias lies elsewhere": Fault(
        "filters", moved("train", "flatten1_out", 16), "flatten1_out is an alias .* stored elsewhere"
    ),
    "an alias of another tensor": Fault(
        "filters",
        buffer("train", "flatten1_out", lambda b: replace(b, alias="dense1_out")),
        "an alias of dense1_out",
    ),
    # layouts and alignment
    "weights are said to lie plain": Fault("large", lying("", "dense2_weight", width=0), "another layout"),
    "filters and all that belongs to them are said to lie plain": Fault(
        "filters",
        lambda plan: lying("", "conv1_weight_grad", width=0)(lying("", "conv1_weight", width=0)(plan)),
        "wants conv1_weight",
    ),
    "a gradient lies otherwise than its parameter": Fault(
        "large", lying("", "dense2_weight_v_state", width=0), "dense2_weight_v_state has another layout"
    ),
    "examples in lanes are said to lie plain": Fault(
        "segments", lying("predict", "relu2_out_to_lanes", examples=1), "examples in lanes"
    ),
    "a convolution with lanes in its place for plain images": Fault(
        "segments", lying("predict", "relu1_out", examples=8), "relu1_out|examples in lanes"
    ),
    "transformed filters are said to lie otherwise": Fault(
        "filters", lying("predict", "conv1_weight_winograd4x3", axis=0, width=0), "conv1_weight_winograd4x3|layout"
    ),
    "a convolution reads its input without the padding": Fault(
        "segments",
        reading("predict", "forward", "conv1_forward", {"image_in_pad": "image_in"}),
        "expects image_in to have",
    ),
    "past the caches without aligned vectors": Fault(
        "segments", context("train", "forward", "conv2_forward", far=True), "does not require aligned"
    ),
    "aligned vectors of unaligned pixels": Fault(
        "pooled",
        kernel("train", "forward", "conv1_forward", lambda k: replace(k, variant=replace(k.variant, aligned=("out",)))),
        "are aligned, but they are not",
    ),
    "aligned vectors of the caller's array": Fault(
        "filters",
        kernel(
            "predict", "forward", "conv1_forward", lambda k: replace(k, variant=replace(k.variant, aligned=("in",)))
        ),
        "the caller's array",
    ),
    "vectors beyond the caller's array": Fault(
        "far", context("predict", "forward", "conv1_forward", whole=1), "past the end"
    ),
    # scratch memory
    "squares for one thread too few": Fault(
        "filters", less_scratch("train", "forward", "conv1_forward", "squares"), "of squares"
    ),
    "products for one thread too few": Fault(
        "far", less_scratch("predict", "forward", "conv1_forward", "products"), "of products"
    ),
    "errors of dW for one thread too few": Fault(
        "residual", less_scratch("train", "backward", "conv8_backward_weight_products", "errors"), "of errors"
    ),
    "sums of one pass back too few": Fault(
        "streamed", less_scratch("train", "backward", "dense2_backward_update", "sums"), "of sums"
    ),
    "squares closer than they are large": Fault(
        "filters", context("predict", "forward", "conv1_forward", square_step=16), "squares"
    ),
    "a kernel for other threads than the plan": Fault(
        "filters", context("predict", "forward", "conv1_forward", threads=1), "1 threads"
    ),
    "scratch memory left out": Fault(
        "filters",
        kernel("train", "forward", "conv1_forward", lambda k: replace(k, variant=replace(k.variant, scratch=()))),
        "the operations of .* are not its graph's",
    ),
    "the state of a recurrent layer for one thread only": Fault(
        "adding", less_scratch("train", "forward", "lstm1_forward", "hidden"), "of hidden"
    ),
    "the gradient of a recurrent state for one thread only": Fault(
        "adding", less_scratch("train", "backward", "lstm1_backward", "dc"), "of dc"
    ),
    "a recurrent layer goes back with weights that are not turned": Fault(
        "adding",
        reading("train", "backward", "lstm1_backward", {"lstm1_weight_hidden_rotate_filters": "lstm1_weight_hidden"}),
        "expects lstm1_weight_hidden to have",
    ),
    "a recurrent layer goes back without the cells of its steps": Fault(
        "adding", reading("train", "backward", "lstm1_backward", {"lstm1_cells": "x_in"}), "expects x_in to have"
    ),
    "attention with room for one thread only": Fault(
        "paragraphs", less_scratch("train", "forward", "attention1_forward", "room"), "of room"
    ),
    "attention goes back without its logarithms": Fault(
        "paragraphs",
        reading("train", "backward", "attention1_backward", {"attention1_logs": "add1_out"}),
        "expects add1_out to have",
    ),
    "a mean over steps that has another length": Fault(
        "paragraphs",
        reading("train", "forward", "global_avgpool1_forward", {"lengths1_out": "attention1_logs"}),
        "expects attention1_logs to have",
    ),
    "an update of some numbers only": Fault(
        "filters", context("train", "update", "conv1_weight_update", elements=8), "processes 8 of"
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_refused(what: str) -> None:
    fault = FAULTS[what]
    plan = plan_of(fault.net)
    verify_plan(plan)
    with pytest.raises(PlanError) as refused:
        verify_plan(fault.change(plan))
    assert re.search(fault.says, str(refused.value)), str(refused.value)


def test_there_are_many_faults() -> None:
    assert len(FAULTS) >= 50
    assert len({fault.net for fault in FAULTS.values()}) >= 7


# ------------------------------------------------------------------------------------------------ every one of a kind


@pytest.mark.parametrize("net", ["segments", "filters", "lenet5"])
def test_every_barrier_is_needed(net: str) -> None:
    """A plan without any one of them is refused; those of `gradients` that `train` has too, in the same function, are
    needed there."""
    plan = plan_of(net)
    barriers = [
        (s.name, p.name, k.operation.name) for s in plan.steps for p in s.phases for k in p.kernels if k.barrier
    ]
    assert len(barriers) >= 20
    in_training = {place[1:] for place in barriers if place[0] == "train"}
    for place in barriers:
        if place[0] == "gradients" and place[1:] in in_training:
            continue
        with pytest.raises(PlanError, match="barrier"):
            verify_plan(barrier(*place)(plan))


@pytest.mark.parametrize("net", ["segments", "streamed"])
def test_every_buffer_is_as_large_as_it_must_be(net: str) -> None:
    plan = plan_of(net)
    names = [("", name) for name, b in plan.kept.items() if b.tensor.role != "input"]
    names += [(s.name, name) for s in plan.steps for name, b in s.workspace.items() if b.alias is None]
    for step, name in names:
        with pytest.raises(PlanError, match=f"{name} takes|elsewhere"):
            verify_plan(too_small(step, name)(plan))


@pytest.mark.parametrize("net", ["segments", "lenet5"])
def test_no_activation_may_lie_where_another_lives(net: str) -> None:
    """Of each training step's activations every two that one kernel reads are put in one place."""
    plan = plan_of(net)
    tried = 0
    for step in plan.steps:
        placed = {name for name, b in step.workspace.items() if b.alias is None}
        for one in step.kernels:
            reads = [t for t in one.operation.reads if t.name in placed]
            for tensor, other in combinations(reads, 2):
                smaller, larger = sorted((tensor, other), key=lambda t: step.workspace[t.name].elements)
                tried += 1
                with pytest.raises(PlanError):
                    verify_plan(on_top(step.name, smaller.name, larger.name)(plan))
    assert tried >= 10


# ------------------------------------------------------------------------------------------------ numbers only


@pytest.mark.parametrize("what", ["a formula is lost", "windows one off"])
def test_wrong_numbers_are_found_by_verify(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FLAGS", tuple("-O0" if flag == "-O3" else flag for flag in build.FLAGS))
    model = Model(check_text(SEGMENTS), target=TARGET)
    assert all(row.ok for row in verify(model, 4))
    changes = {
        "a formula is lost": context("predict", "small_batch", "conv1_forward_small_batch", formula=X),
        "windows one off": context("predict", "small_batch", "image_in_pad", before=0),
    }

    def compile_faulty(plan: Plan) -> build.Library:
        wrong = changes[what](plan)
        verify_plan(wrong)
        return build.build(emit(wrong), plan.target)

    monkeypatch.setattr(compiled, "compile_plan", compile_faulty)
    assert not all(row.ok for row in verify(Model(check_text(SEGMENTS), target=TARGET), 4))
