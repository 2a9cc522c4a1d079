"""Sequences: embeddings, pools, lengths, attention, ctc and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dslc.operation import INPUT, Tensor
from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import SeenKernel, whole_blocks


def _embedding(seen: SeenKernel) -> None:
    """Every part lies inside of both sides, and every table has a row for each of its values."""
    d: Any = seen.op.detail
    gradient = seen.op.kind == "embedding_gradient"
    x, y = seen.op.reads[0], seen.op.reads[1] if gradient else seen.op.writes[0]
    seen.shape(x, (d.rows * d.inputs,))
    seen.shape(y, (d.outputs,) if d.rows == 1 else (d.rows, d.outputs), (d.rows, d.outputs))
    tables = iter(seen.op.writes if gradient else seen.op.reads[1:])
    for part in d.parts:
        seen.at_least(x.name, d.inputs, part.start + (1 if part.values else part.size))
        seen.at_least(y.name, d.outputs, part.out + part.size)
        if part.values:
            table = next(tables)
            seen.shape(table, (part.values, part.size))
            seen.rows(table)


def _steps_pool(seen: SeenKernel) -> None:
    """A length for each example, of at most all steps, and a number a channel on one side."""
    d: Any = seen.op.detail
    sequence, few = (d.steps, d.channels), ((d.channels,), (1, d.channels))
    x, lengths, y = *seen.op.reads[:2], seen.op.writes[0]
    if seen.op.kind == "steps_pool_gradient":
        x, y = y, x
        for again in seen.op.reads[2:]:
            seen.shape(again, sequence)
    seen.shape(x, sequence)
    seen.shape(y, *few)
    seen.shape(lengths, (1,))


def _lengths(seen: SeenKernel) -> None:
    """One number for all words of an example."""
    d: Any = seen.op.detail
    seen.shape(seen.op.reads[0], (d.steps,))
    seen.shape(seen.op.writes[0], (1,))


def _attention(seen: SeenKernel) -> None:
    """Queries, keys and values lie side by side, those of a memory apart from the queries, and each thread has room for
    what is turned, for some rows of weights, and on the way back for the gradients of all keys and values."""
    d: Any = seen.op.detail
    back = seen.op.kind == "attention_gradient"
    tensors: list[tuple[Tensor, tuple[int, ...]]]
    width = d.heads * d.size
    result = (d.steps, width)
    sums = [(d.steps, width), (d.keys, 2 * width)] if d.crossed else [(d.steps, 3 * width)]
    reads = seen.op.reads[: len(seen.op.reads) - d.masked]
    written = [t for t in seen.op.writes if t.batched]
    if back:
        dy, *given, y, logs = reads
        tensors = [(dy, result), (y, result), (logs, (d.heads, d.steps))]
        tensors += [*zip(given, sums, strict=True), *zip(written, sums, strict=True)]
    else:
        tensors = [*zip(reads, sums, strict=True), *zip(written, (result, (d.heads, d.steps)), strict=False)]
    if d.masked:
        tensors.append((seen.op.reads[-1], (1,)))
    for tensor, shape in tensors:
        seen.shape(tensor, shape)
        seen.plain(tensor)
    require(
        all(t.role != INPUT for t, shape in tensors if shape != (1,)), f"{seen.op.name} reads past the caller's array"
    )
    keys, wide = whole_blocks(d.keys, seen.lanes), whole_blocks(d.size, seen.lanes)
    heads = seen.context["heads"]
    rows = min(heads.block, d.steps) if back else heads.heights[0]
    each = (d.size + rows) * keys
    seen.at_least("a thread's room", seen.context["each"], 2 * (each + d.keys * wide) if back else each)
    seen.at_least("room", seen.scratch("room"), seen.threads * seen.context["each"])


def _ctc(seen: SeenKernel) -> None:
    """Logits of all steps, room for all labels, and for each thread the states of the steps."""
    d: Any = seen.op.detail
    z, target = seen.op.reads[:2]
    seen.shape(z, (d.steps, d.classes), *([(d.classes,)] if d.steps == 1 else []))
    seen.shape(target, (d.labels,))
    if d.timed:
        seen.shape(seen.op.reads[3], (1,))
    states, back = 2 * d.labels + 1, len([t for t in seen.op.writes if t.batched]) > 1
    seen.at_least("a thread's room", seen.context["each"], (d.steps + 2 if back else 2) * states + d.steps)
    seen.at_least("room", seen.scratch("room"), seen.threads * seen.context["each"])


def _recurrence(seen: SeenKernel) -> None:
    """The sums of all steps, weights in blocks of units, and a state for every example."""
    d: Any = seen.op.detail
    sums, w, *others = seen.op.reads
    seen.shape(sums, (d.steps, d.gates * d.units))
    seen.shape(w, (d.gates * d.units, d.units))
    seen.blocked(w, 0)
    if d.masked:
        seen.shape(others[-1], (1,))
    y, *kept = seen.op.writes[: len(seen.op.writes) - len(seen.variant.scratch)]
    seen.shape(y, (d.units,) if d.last else (d.steps, d.units))
    for tensor, each in zip(kept, (d.kept, 1, 1), strict=False):
        seen.shape(tensor, (d.steps, each * d.units))
    sizes = {"own": d.gates * d.units, "hidden": d.units, "cell": d.units if d.cell == "lstm" else 0}
    for name, each in sizes.items():
        seen.at_least(name, seen.scratch(name), seen.plan.batch * each)


def _recurrence_gradient(seen: SeenKernel) -> None:
    """The gradient of the result among that of both directions, what was kept, and weights in blocks of the state."""
    d: Any = seen.op.detail
    dy, gates, *others = seen.op.reads
    seen.shape(dy, (d.width,) if d.last else (d.steps, d.width))
    seen.at_least(dy.name, d.width, d.start + d.units)
    seen.shape(gates, (d.steps, d.kept * d.units))
    if d.cell in ("gru", "lstm"):
        seen.shape(others.pop(0), (d.steps, d.units))
    seen.shape(others[0], (1, 1, d.gates * d.units, d.units))
    seen.blocked(others[0], 3)
    if d.masked:
        seen.shape(others[1], (1,))
    for tensor in seen.op.writes[: len(seen.op.writes) - len(seen.variant.scratch)]:
        seen.shape(tensor, (d.steps, d.gates * d.units))
    for name, each in {"dh": d.units, "dc": d.units if d.cell == "lstm" else 0}.items():
        seen.at_least(name, seen.scratch(name), seen.plan.batch * each)


CHECKS: Mapping[str, Callable[[SeenKernel], None]] = {
    "attention": _attention,
    "attention_gradient": _attention,
    "ctc": _ctc,
    "embedding": _embedding,
    "embedding_gradient": _embedding,
    "lengths": _lengths,
    "recurrence": _recurrence,
    "recurrence_gradient": _recurrence_gradient,
    "steps_pool": _steps_pool,
    "steps_pool_gradient": _steps_pool,
}
"""By kind of operation."""
