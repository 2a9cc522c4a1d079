"""Calls of kernels, before their arguments become text: what calls in a row have in common can become a loop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dslc.codegen.functions import RUNTIME_ARGUMENTS, Function, Functions, arrays_of, hyperparameters_of
from dslc.codegen.names import Names, Place, is_callers
from dslc.codegen.sizes import sizes_of
from dslc.operation import Tensor
from dslc.plan import Kernel, PlannedPhase, PlannedStep


@dataclass(frozen=True)
class Call:
    """A call of a function: `arrays` are the caller's, by name, or places in memory; then `sizes`, and what all calls
    of a phase are given. `job` is the kernel's operation. `shared`: all threads take part; then perhaps a barrier. In a
    function of two steps, `updates` says whether a call belongs to the one that updates or to the other."""

    function: Function
    arrays: tuple[str | Place, ...]
    sizes: tuple[int | str, ...]
    others: tuple[str, ...]
    job: str
    named: bool
    shared: bool
    barrier: bool
    updates: bool | None = None

    @property
    def form(self) -> tuple[object, ...]:
        """What is the same in all rounds of a loop; a barrier too many does no harm."""
        arrays = tuple(a if isinstance(a, str) else a.memory for a in self.arrays)
        return self.function.name, arrays, self.others, self.shared, self.updates

    def text(self, arrays: Sequence[str], sizes: Sequence[str], comments: bool = True) -> str:
        """The statement with these arguments; where it is called after other jobs, a comment says which this is."""
        about = f" /* {self.job} */" if comments and not self.named else ""
        return f"{self.function.name}({', '.join((*arrays, *sizes, *self.others))});{about}"


def calls_of(step: PlannedStep, phase: PlannedPhase, names: Names, functions: Functions) -> tuple[Call, ...]:
    """The calls of a phase in order."""
    kernels = [k for k in phase.kernels if not k.variant.is_alias]
    return tuple(_call(step, kernel, names, functions.function(kernel)) for kernel in kernels)


def _call(step: PlannedStep, kernel: Kernel, names: Names, function: Function) -> Call:
    sizes = sizes_of(kernel.variant.context, kernel.variant.sizes)
    numbers = hyperparameters_of(kernel)
    alone = {"part": "0", "parts": "1"} if not kernel.parallel else {}
    return Call(
        function,
        tuple(_array(step, tensor, names) for tensor, _ in arrays_of(kernel)),
        tuple(sizes[name] for name in function.sizes),
        (
            *(numbers[name].value for name in function.numbers),
            *(alone.get(word, RUNTIME_ARGUMENTS[word]) for word in function.takes),
        ),
        kernel.operation.name,
        re.sub(r"_\d+$", "", function.name) == kernel.function,
        kernel.parallel,
        kernel.barrier,
    )


def _array(step: PlannedStep, tensor: Tensor, names: Names) -> str | Place:
    return tensor.name if is_callers(tensor) else names.place(step, tensor)
