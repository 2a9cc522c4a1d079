"""Kernels as functions of C. Jobs that do the same, in prediction and training or in several layers, share one; what
differs between them, such as the number of channels, becomes a parameter where the kernel allows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dslc.codegen.function_names import Use, function_name, uses_comment
from dslc.codegen.names import Names
from dslc.codegen.sizes import Name, Size, declared, parameters, sizes_of, with_parameters
from dslc.codegen.templating import render
from dslc.codegen.text import unshared, without_brackets, without_comments
from dslc.kernels import Variant
from dslc.kernels.product import Product
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.operation import Operation, Tensor
from dslc.plan import Kernel, Plan, PlannedStep
from dslc.scalar import EXACT, ONE_MINUS

RUNTIME_PARAMETERS = {
    "barrier": "thread_barrier *barrier",
    "n": "int n",
    "earlier": "int earlier",
    "first_slice": "int first_slice",
    "last_slice": "int last_slice",
    "idle": "int idle",
    "total_weight": "double total_weight",
    "part": "int part",
    "parts": "int parts",
    "step": "int64_t step",
    "seed": "uint64_t seed",
    "lr": "real lr",
    "step_number": "double step_number",
    "ranks": "rank_sums *ranks",
    "all_examples": "int all_examples",
}
"""What a kernel may take besides its arrays; it gets what its body mentions."""

RUNTIME_ARGUMENTS = {
    "barrier": "barrier", "n": "n", "earlier": "earlier", "first_slice": "first_slice",
    "last_slice": "last_slice", "idle": "idle",
    "total_weight": "total_weight", "part": "part", "parts": "parts", "step": "net->step", "seed": "net->seed",
    "lr": "(real)net->lr",
    "step_number": "(double)(net->step + 1)", "ranks": "net->ranks", "all_examples": "net->ranks->examples",
}  # fmt: skip

NUMBERS = {
    "rate": "double", "keep": "double", "clip_norm": "double", "clip_value": "real", "std": "real", "l1": "real",
    "l2": "real", "beta": "real", "beta1": "real", "beta2": "real", "momentum": "real", "rho": "real",
    "weight_decay": "real",
}  # fmt: skip
"""The types of hyperparameters: double where only a number is computed of them before a loop."""

Code = tuple[tuple[str, ...], str]
"""The parameters and the body of a function."""


@dataclass(frozen=True)
class Function:
    """A function of a kernel. `takes` are the runtime parameters, `sizes` what is a parameter because it differs from
    kernel to kernel, `numbers` the hyperparameters."""

    name: str
    comment: tuple[str, ...]
    parameters: tuple[str, ...]
    body: str
    takes: tuple[str, ...]
    sizes: tuple[str, ...]
    numbers: tuple[str, ...]


class Functions:
    """The functions of one file by what they say; `products` and `transforms` are the tools that they call. `alone`:
    one thread runs them, and there is nothing to share; a plan for one example then has a constant for their number."""

    def __init__(self, plan: Plan, names: Names, steps: Iterable[PlannedStep], alone: bool = False) -> None:
        self.plan, self.names, self.alone = plan, names, alone
        self.by_code: dict[Code, Function] = {}
        self.products: set[Product] = set()
        self.transforms: set[Transform] = set()
        self._uses: dict[Code, list[Use]] = {}
        self._code: dict[str, Code] = {}
        """The code with all parameters that a kernel may have, by its template and context."""
        for step in steps:
            for kernel in step.kernels:
                if not kernel.variant.is_alias:
                    self._add(step, kernel)
        self._functions = {code: self._function(uses) for code, uses in self._uses.items()}

    def function(self, kernel: Kernel) -> Function:
        """The function of a kernel."""
        found = self._functions[self._general(kernel)]
        return self.by_code.setdefault((found.parameters, found.body), found)

    def _add(self, step: PlannedStep, kernel: Kernel) -> None:
        """Notes a kernel as one of those with the same code."""
        variant = kernel.variant
        self.products.update(variant.products)
        self.transforms.update(variant.transforms)
        shapes = ", ".join(f"{name} {self._shape(step, t)}" for t, name in arrays_of(kernel))
        self._uses.setdefault(self._general(kernel), []).append(Use(kernel, shapes))

    def _general(self, kernel: Kernel) -> Code:
        """The code of a kernel with parameters for all that may be one."""
        op, variant = kernel.operation, kernel.variant
        arrays = self._arrays(kernel)
        key = repr((variant.template(op.kind), arrays, dict(variant.context)))
        if key not in self._code:
            sizes = self._sizes(variant)
            general = parameters({name: [value] for name, value in sizes.items()})
            self._code[key] = arrays, self._body(op, variant, general)
        return self._code[key]

    def _sizes(self, variant: Variant) -> dict[str, int | str]:
        """What may be a parameter. Nothing where a micro-kernel in plain C is part of its only caller: there constants
        make the code faster and no longer."""
        inlined = self.alone and self.plan.target.vector_bytes == 0 and variant.products
        return {} if inlined else sizes_of(variant.context, variant.sizes)

    def _body(self, op: Operation, variant: Variant, sizes: Mapping[str, Size | Name]) -> str:
        context = with_parameters(variant.context, variant.sizes, sizes)
        body = render(variant.template(op.kind), context, self.plan.itemsize == 4)
        body = unshared(body) if self.alone else body
        if variant.overwrites:
            body = f"    const real *const {variant.overwrites} = {result_name(op, variant)}; /* in place */\n{body}"
        return without_brackets(body) if sizes else body

    def _function(self, uses: list[Use]) -> Function:
        """The function of kernels with the same code; what is the same for all stays a constant."""
        kernel = uses[0].kernel
        sizes = [self._sizes(use.kernel.variant) for use in uses]
        different = parameters(varying({name: [size[name] for size in sizes] for name in sizes[0]}))
        body = self._body(kernel.operation, kernel.variant, different)
        words = without_comments(body)
        named = {name: value for name, value in different.items() if re.search(rf"\b{name}\b", words)}
        takes = tuple(word for word in RUNTIME_PARAMETERS if re.search(rf"(?<![\w>.]){word}\b", words))
        numbers = tuple(name for name in hyperparameters_of(kernel) if re.search(rf"\b{name}\b", words))
        shared = not self.alone and any(use.kernel.parallel for use in uses)
        assert "part" in takes or not shared, f"all threads would do all of {kernel.operation.name}"
        if "n" in takes and self.alone and self.plan.batch == 1:
            body, takes = f"    const int n = 1;\n{body}", tuple(word for word in takes if word != "n")
        return Function(
            name=self.names.unique(function_name(uses)),
            comment=uses_comment(uses),
            parameters=(
                *self._arrays(kernel),
                *map(declared, named.values()),
                *(f"{hyperparameters_of(kernel)[name].type} {name}" for name in numbers),
                *(RUNTIME_PARAMETERS[word] for word in takes),
            ),
            body=body,
            takes=takes,
            sizes=tuple(named),
            numbers=numbers,
        )

    def _arrays(self, kernel: Kernel) -> tuple[str, ...]:
        """The parameters that are arrays."""
        written = set(kernel.operation.writes)
        return tuple(
            f"{'' if t in written else 'const '}{self.names.c_type(t)} *restrict {name}"
            for t, name in arrays_of(kernel)
        )

    def _shape(self, step: PlannedStep, tensor: Tensor) -> str:
        """How the array is stored, as C would declare it."""
        buffer = step.workspace.get(tensor.name) or self.plan.kept.get(tensor.name)
        layout = buffer.layout if buffer else Layout(tensor.shape)
        lanes = layout.examples
        batch = [f"n / {lanes}" if lanes > 1 else "n"] if tensor.batched else []
        return "".join(f"[{k}]" for k in (*batch, *layout.stored, *([lanes] if lanes > 1 else [])))


def varying(sizes: Mapping[str, list[int | str]]) -> dict[str, list[int | str]]:
    """The sizes, by name, that differ between kernels: only they are parameters of the function that the kernels
    share."""
    return {name: values for name, values in sizes.items() if len(set(values)) > 1}


@dataclass(frozen=True)
class Number:
    """A hyperparameter that a kernel may take: its type, and what it is given in C."""

    type: str
    value: str


def hyperparameters_of(kernel: Kernel) -> dict[str, Number]:
    """The hyperparameters that a kernel may take, by their names; it takes those that its body mentions."""
    found: dict[str, Number] = {}
    for name, field in kernel.operation.numbers:
        of, cast = (NUMBERS[name], "(real)" if NUMBERS[name] == "real" else "")
        found[name] = Number(of, f"{cast}net->{field}")
        found[f"{ONE_MINUS}{name}"] = Number(of, f"{cast}(1 - net->{field})")
        found[f"{EXACT}{name}"] = Number("double", f"net->{field}")
    return found


def arrays_of(kernel: Kernel) -> list[tuple[Tensor, str]]:
    """The tensors that a function takes, with their names in C: those that have one, but the one that it overwrites."""
    named = zip(tensors_of(kernel.operation), kernel.variant.arguments, strict=True)
    return [(tensor, name) for tensor, name in named if name and name != kernel.variant.overwrites]


def result_name(op: Operation, variant: Variant) -> str:
    """What the first tensor that an operation writes is called in C."""
    return variant.arguments[tensors_of(op).index(op.writes[0])]


def tensors_of(op: Operation) -> tuple[Tensor, ...]:
    """The tensors of an operation, each once: what it reads, then what it only writes."""
    return tuple(dict.fromkeys((*op.reads, *op.writes)))
