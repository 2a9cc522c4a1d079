"""Kernels as functions of C. Jobs that do the same, in prediction and training or in several layers, share one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from dslc.codegen.names import Names
from dslc.codegen.templating import render
from dslc.codegen.text import in_comment, unshared, without_comments
from dslc.kernels.product import Product
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.operation import Operation, Tensor
from dslc.plan import Kernel, Plan, PlannedStep

RUNTIME_PARAMETERS = {
    "barrier": "thread_barrier *barrier",
    "n": "int n",
    "earlier": "int earlier",
    "total_weight": "double total_weight",
    "part": "int part",
    "parts": "int parts",
    "step": "int64_t step",
    "seed": "uint64_t seed",
    "lr": "real lr",
    "step_number": "double step_number",
}
"""What a kernel may take besides its arrays; it gets what its body mentions."""

RUNTIME_ARGUMENTS = {
    "barrier": "barrier", "n": "n", "earlier": "earlier", "total_weight": "total_weight", "part": "part",
    "parts": "parts", "step": "net->step", "seed": "net->seed", "lr": "(real)net->lr",
    "step_number": "(double)(net->step + 1)",
}  # fmt: skip


@dataclass(frozen=True)
class Function:
    """A function of a kernel. `takes` are the runtime parameters; `also` names further jobs that are the same C."""

    name: str
    comment: str
    shapes: str
    parameters: tuple[str, ...]
    body: str
    takes: tuple[str, ...]
    also: tuple[str, ...] = ()


class Functions:
    """The functions of one file by what they say; `products` and `transforms` are the tools that they call. `alone`:
    one thread runs them, and there is nothing to share; a plan for one example then has a constant for their number."""

    def __init__(self, plan: Plan, names: Names, alone: bool = False) -> None:
        self.plan, self.names, self.alone = plan, names, alone
        self.by_code: dict[tuple[tuple[str, ...], str], Function] = {}
        self.products: set[Product] = set()
        self.transforms: set[Transform] = set()

    def function(self, step: PlannedStep, kernel: Kernel) -> Function:
        """The function of a kernel, a new one only if none does the same."""
        op, variant = kernel.operation, kernel.variant
        self.products.update(variant.products)
        self.transforms.update(variant.transforms)
        body = render(variant.template(op.kind), dict(variant.context), self.plan.itemsize == 4)
        body = unshared(body) if self.alone else body
        takes = tuple(word for word in RUNTIME_PARAMETERS if re.search(rf"(?<![\w>.]){word}\b", without_comments(body)))
        if "n" in takes and self.alone and self.plan.batch == 1:
            body, takes = f"    const int n = 1;\n{body}", tuple(word for word in takes if word != "n")
        parameters = (*self._arrays(kernel), *(RUNTIME_PARAMETERS[word] for word in takes))
        key = (parameters, body)
        if key not in self.by_code:
            self.by_code[key] = Function(
                name=self.names.unique(kernel.function),
                comment=f"line {op.line}: {in_comment(op.comment)}" if op.line else in_comment(op.comment),
                shapes=", ".join(
                    f"{name} {self._shape(step, t)}" for t, name in zip(tensors_of(op), variant.arguments, strict=True)
                ),
                parameters=parameters,
                body=body,
                takes=takes,
            )
        elif is_named_after_another(self.by_code[key], kernel):
            also = tuple(dict.fromkeys((*self.by_code[key].also, op.name)))
            self.by_code[key] = replace(self.by_code[key], also=also)
        return self.by_code[key]

    def _arrays(self, kernel: Kernel) -> list[str]:
        """The parameters that are arrays."""
        written = set(kernel.operation.writes)
        return [
            f"{'' if t in written else 'const '}{self.names.c_type(t)} *restrict {name}"
            for t, name in zip(tensors_of(kernel.operation), kernel.variant.arguments, strict=True)
        ]

    def _shape(self, step: PlannedStep, tensor: Tensor) -> str:
        """How the array is stored, as C would declare it."""
        buffer = step.workspace.get(tensor.name) or self.plan.kept.get(tensor.name)
        layout = buffer.layout if buffer else Layout(tensor.shape)
        lanes = layout.examples
        batch = [f"n / {lanes}" if lanes > 1 else "n"] if tensor.batched else []
        return "".join(f"[{k}]" for k in (*batch, *layout.stored, *([lanes] if lanes > 1 else [])))

    def call(self, step: PlannedStep, kernel: Kernel, function: Function) -> str:
        """The statement that runs a kernel."""
        arrays = [self.names.argument(step, tensor) for tensor in tensors_of(kernel.operation)]
        alone = {"part": "0", "parts": "1"} if not kernel.parallel else {}
        others = [alone.get(word, RUNTIME_ARGUMENTS[word]) for word in function.takes]
        about = f" /* {kernel.operation.name} */" if is_named_after_another(function, kernel) else ""
        return f"{function.name}({', '.join((*arrays, *others))});{about}"


def is_named_after_another(function: Function, kernel: Kernel) -> bool:
    """Whether a kernel's function has the name of another job."""
    return re.sub(r"_\d+$", "", function.name) != kernel.function


def tensors_of(op: Operation) -> tuple[Tensor, ...]:
    """The tensors of an operation, each once: what it reads, then what it only writes."""
    return tuple(dict.fromkeys((*op.reads, *op.writes)))
