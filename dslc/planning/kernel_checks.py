"""What a kernel assumes about its tensors: sizes, layouts, alignment, workspace. Each is derived here again from the
operation, independently of the kernel's own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dslc import kernels
from dslc.plan import Kernel, Plan
from dslc.planning import array_checks, convolution_checks, product_checks, sequence_checks
from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import Buffers, SeenKernel, layout_in

CHECKS: Mapping[str, Callable[[SeenKernel], None]] = {
    **convolution_checks.CHECKS,
    **product_checks.CHECKS,
    **sequence_checks.CHECKS,
    **array_checks.CHECKS,
}
"""By kind of operation, if its tensors may have sizes other than their shapes say, or several layouts."""


def check_kernel(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """Checks that the tensors of a kernel are as it assumes. Raises PlanError if one is not."""
    op, variant = kernel.operation, kernel.variant
    named = len(variant.arguments)
    require(named == len(buffers), f"{op.name} has {len(buffers)} arrays but {named} argument names")
    _check_examples(kernel, buffers, plan)
    _check_aligned(kernel, buffers, plan)
    _check_scratch(kernel, buffers, plan)
    if check := CHECKS.get(op.kind):
        check(SeenKernel(kernel, buffers, plan))


def _check_examples(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """Exactly the tensors that the kernel expects so have one example per lane."""
    op, lanes = kernel.operation, plan.target.lanes(plan.itemsize)
    reads, writes = ({layout_in(t, buffers).examples for t in some if t.batched} for some in (op.reads, op.writes))
    found = reads | writes
    if op.kind in ("to_lanes", "from_lanes"):
        fine = (reads, writes) == (({1}, {lanes}) if op.kind == "to_lanes" else ({lanes}, {1}))
    elif op.kind in ("dense_input_gradient", "dense_backward"):
        fine = found <= {1, lanes}
    elif op.choice == "lanes":
        fine = found == {lanes}
    else:
        fine = len(found) <= 1 and (found <= {1} or (found == {lanes} and kernels.keeps_layout(op)))
    require(fine, f"{op.name} gets a tensor with examples in lanes where it expects the plain layout, or the reverse")


def _check_aligned(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """What a kernel assumes to be aligned is: it is in the arena, and pixels are whole vectors."""
    op, variant = kernel.operation, kernel.variant
    require(not variant.context.get("far") or "out" in variant.aligned,
           f"{op.name} uses non-temporal stores but does not require aligned vectors")  # fmt: skip
    named = dict(zip(variant.arguments, buffers, strict=False))
    for name in variant.aligned:
        buffer = buffers[named[name]]
        require(buffer is not None, f"{op.name} assumes that {named[name].name}, the caller's array, is aligned")
        assert buffer is not None
        pixel = buffer.layout.stored[-1] * buffer.layout.examples * plan.itemsize
        bytes_of_vector = plan.target.lanes(plan.itemsize) * plan.itemsize
        aligned = buffer.offset * plan.itemsize % bytes_of_vector == 0 and pixel % bytes_of_vector == 0
        require(aligned, f"{op.name} assumes that the vectors of {named[name].name} are aligned, but they are not")


def _check_scratch(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """The workspace is as large as the kernel asks for. The check of its kind says how much it really needs."""
    op, variant = kernel.operation, kernel.variant
    own = op.writes[len(op.writes) - len(variant.scratch) :]
    for scratch, tensor in zip(variant.scratch, own, strict=True):
        right = tensor.name == f"{op.name}_{scratch.name}" and tensor.elements == scratch.elements
        require(right, f"{op.name} asks for {scratch.elements} numbers of {scratch.name} but gets {tensor.name}")
    threads = variant.context.get("threads", plan.threads)
    require(threads == plan.threads, f"{op.name} is made for {threads} threads")
