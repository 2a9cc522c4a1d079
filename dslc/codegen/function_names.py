"""What the function of several kernels is called, and what its comment says of the layers that use it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dslc.codegen.text import in_comment, wrapped
from dslc.plan import Kernel


@dataclass(frozen=True)
class Use:
    """A kernel, and the shapes of its arrays as C would declare them."""

    kernel: Kernel
    shapes: str


def function_name(uses: Sequence[Use]) -> str:
    """The kernel's name; for the kernels of several layers what their names have in common, or what they do."""
    names = list(dict.fromkeys(use.kernel.function for use in uses))
    if len(names) == 1:
        return names[0]
    kernel = uses[0].kernel
    kind, variant = kernel.operation.kind, kernel.variant.name
    common = {re.sub(r"\d+(?=_)", "", use.kernel.operation.name, count=1) for use in uses}
    does = common.pop() if len(common) == 1 else kind
    if variant != "plain":
        return f"{does}_{variant}"
    return does if "_" in does else f"{does}_kernel"


def uses_comment(uses: Sequence[Use]) -> tuple[str, ...]:
    """The lines of the comment above a function: where the spec asks for it, for which layers, and the shapes."""
    op = uses[0].kernel.operation
    named = f"line {op.line}: " if op.line else ""
    jobs: dict[int, list[str]] = {}
    for use in uses:
        jobs.setdefault(use.kernel.operation.line, []).append(use.kernel.operation.name)
    found = {line: list(dict.fromkeys(names)) for line, names in jobs.items()}
    shapes = f"{uses[0].shapes}{', and others' if len({use.shapes for use in uses}) > 1 else ''}"
    if sum(map(len, found.values())) == 1:
        return f"{named}{in_comment(op.comment)}", shapes
    where = "; ".join(f"{f'line {line}: ' if line else ''}{_listed(names)}" for line, names in found.items())
    return f"{named}{in_comment(op.comment)}", *wrapped(f"For {where}."), shapes


def _listed(names: Sequence[str]) -> str:
    """All names if they are few, else the first, the last, and how many there are."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]} ({len(names)})"
