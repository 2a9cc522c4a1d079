"""A compiler stage as text, for `dslc emit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from dslc.language.source import Source, Span
from dslc.plan import Plan
from dslc.shape import show_shape


def show_tree(thing: object, depth: int = 0) -> str:
    """A stage's dataclasses as an indented tree, without their places in the file."""
    pad = "  " * depth
    if is_dataclass(thing) and not isinstance(thing, type):
        shown = [(f.name, getattr(thing, f.name)) for f in fields(thing)]
        kept = [
            (name, value) for name, value in shown if not isinstance(value, (Span, Source)) and value not in (None, ())
        ]
        flat = ", ".join(f"{name}={value!r}" for name, value in kept if _flat(value))
        deep = "".join(f"\n{pad}  {name}:{show_tree(value, depth + 2)}" for name, value in kept if not _flat(value))
        return f"\n{pad}{type(thing).__name__}({flat}){deep}" if depth else f"{type(thing).__name__}({flat}){deep}"
    if isinstance(thing, tuple):
        return "".join(show_tree(item, depth) if is_dataclass(item) else f"\n{pad}{item!r}" for item in thing)
    return f" {thing!r}"


def _flat(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_flat(item) for item in value)
    return not is_dataclass(value) and not isinstance(value, Mapping)


def show_plan(plan: Plan) -> str:
    """The plan: where everything lies, and which kernel computes what."""
    made_for = f"{plan.threads} thread{'s' * (plan.threads > 1)}, target {plan.target.name}"
    lines = [f"batch {plan.batch}, {plan.itemsize} bytes a number, {made_for}", "", "regions (elements)"]
    lines += [f"  {r.name:<16} {r.offset:>12} + {r.elements}" for r in plan.regions]
    lines += ["", "kept buffers"]
    lines += [f"  {b.offset:>12} {name:<32} {b.layout.describe()}" for name, b in plan.kept.items()]
    for step in plan.steps:
        lines += ["", f"{step.name}: workspace"]
        for name, buffer in sorted(step.workspace.items(), key=lambda item: item[1].offset):
            shared = f"  shares {buffer.alias}" if buffer.alias else ""
            lines.append(f"  {buffer.offset:>12} {name:<32} {show_shape(buffer.tensor.shape) or '1'}{shared}")
        for phase in step.phases:
            lines += ["", f"{step.name}: {phase.name}"]
            for kernel in phase.kernels:
                how = "all threads" if kernel.parallel else "one thread"
                about = f"{kernel.variant.cost_ns / 1000:.1f} us"
                meet = ", then a barrier" if kernel.barrier else ""
                lines.append(f"  {kernel.function:<40} {kernel.operation.kind:<24} about {about}, {how}{meet}")
    return "\n".join(lines)
