"""`plan.Plan` to C. The only importer of jinja2: templates print what the plan says and compute nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata, resources
from math import ceil
from pathlib import Path
from types import CodeType

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from dslc.cache import cache_folder
from dslc.ir import Network
from dslc.kernels.product import Product
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.operation import INPUT, OUTPUT, TARGET, Operation, Tensor
from dslc.passes.few import most_examples
from dslc.plan import Kernel, Plan, PlannedPhase, PlannedStep
from dslc.planning.planner import given_tensors
from dslc.shape import show_shape

RUNTIME_PARAMETERS = {
    "meeting": "meeting_place *meeting",
    "n": "int n",
    "part": "int part",
    "parts": "int parts",
    "step": "int64_t step",
    "seed": "uint64_t seed",
    "lr": "real lr",
    "step_number": "double step_number",
}
"""What a kernel may ask for besides its arrays; it gets those that its body mentions."""

RUNTIME_ARGUMENTS = {
    "meeting": "meeting", "n": "n", "part": "part", "parts": "parts", "step": "net->step", "seed": "net->seed",
    "lr": "(real)net->lr", "step_number": "(double)(net->step + 1)",
}  # fmt: skip


PHASES = {
    "predict_prepare": "What depends on nothing but the parameters: once for many predictions.",
    "predict_forward": "The network in prediction mode.",
    "predict_few": "The same for few examples.",
    "predict_losses": "The losses of what predict_forward left.",
    "gradients_forward": "The network in training mode, up to the loss.",
    "gradients_backward": "The gradients of all parameters that learn.",
    "train_forward": "The network in training mode, up to the loss.",
    "train_backward": "The gradients of all parameters that learn, and of some at once the update.",
    "train_update": "Running averages and the optimizer.",
}
RUNS = {
    "predict": ("predict_prepare", "predict_forward", "predict_few"),
    "evaluate": ("predict_prepare", "predict_forward", "predict_losses"),
    "loss": ("train_forward",),
    "gradients": ("gradients_forward", "gradients_backward"),
    "train_step": ("train_forward", "train_backward", "train_update"),
}
"""The public functions that compute, and the phases that they run."""

PUBLIC = (
    *RUNS,
    "network",
    "all_finite",
    "all_within",
    "all_below",
    "memory_size",
    "max_batch",
    "pool",
    "train_batches",
)


@dataclass(frozen=True)
class CSource:
    """What a network becomes: `declarations` is the interface, `code` a whole C file with it inside."""

    prefix: str
    declarations: str
    code: str


@dataclass(frozen=True)
class Constant:
    name: str
    offset: int
    comment: str


@dataclass(frozen=True)
class Function:
    """`also` names further jobs that are the same C: layers of one shape, or prediction and training."""

    name: str
    comment: str
    shapes: str
    parameters: tuple[str, ...]
    body: str
    takes: tuple[str, ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class CallGroup:
    """Calls in a row: shared by all threads, or several of the first thread alone; then perhaps all meet."""

    shared: bool
    calls: tuple[str, ...]
    meet: bool


@dataclass(frozen=True)
class PhaseFunction:
    name: str
    comment: str
    parameters: tuple[str, ...]
    groups: tuple[CallGroup, ...]

    @property
    def code(self) -> tuple[object, ...]:
        """All but the name: the forward phases of `gradients` and `train` are mostly one and the same."""
        return self.parameters, self.groups

    @property
    def uses_arena(self) -> bool:
        """A network without memory of its own, such as a single activation, touches only the caller's arrays."""
        return any("at + " in call for group in self.groups for call in group.calls)


@dataclass(frozen=True)
class Gathered:
    """An array of which the loop over mini-batches copies the rows of one batch."""

    name: str
    type: str
    elements: int
    staging: str


def emit(plan: Plan) -> CSource:
    """The C of a network."""
    return _Emitter(plan).source()


def c_prefix(network: Network) -> str:
    """The net's name in lower case: every public symbol starts with it."""
    return network.name.lower()


@cache
def _environment(single: bool) -> Environment:
    """Templates with literals of one precision. Compiled templates are kept in the cache, by what they say."""
    kept = cache_folder() / "templates"
    kept.mkdir(exist_ok=True)
    env = Environment(
        loader=FileSystemLoader(Path(str(resources.files("dslc.templates")))),
        bytecode_cache=FileSystemBytecodeCache(str(kept)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["real"] = lambda formula: _literals(str(formula), single)
    env.filters["double"] = lambda formula: _literals(str(formula), False)
    env.filters["name"] = lambda parameter: re.findall(r"\w+", parameter)[-1]
    env.filters["number"] = lambda value: f"{float(value)!r}{'f' if single else ''}"
    return env


def _literals(formula: str, single: bool) -> str:
    """`REAL(0.5)` as a literal of a precision."""
    return re.sub(r"REAL\(([^()]*)\)", r"\1f" if single else r"\1", formula)


class UnusedContext(Exception):
    """A template was given something that it never prints: a sign that plan and template have drifted apart."""


def _render(name: str, context: Mapping[str, object], single: bool) -> str:
    template = _environment(single).get_template(name)
    if unused := set(context) - _mentioned(name, single):
        raise UnusedContext(f"{name} prints nothing of {', '.join(sorted(unused))}")
    return template.render(context)


@cache
def _mentioned(name: str, single: bool) -> frozenset[str]:
    """The names that a template looks up, and those that it includes."""
    found: set[str] = set()
    codes = [_environment(single).get_template(name).root_render_func.__code__]
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            elif isinstance(constant, str):
                included = constant.endswith(".j2") and constant != name
                found |= _mentioned(constant, single) if included else {constant}
    return frozenset(found)


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.network = plan.graph.network
        self.single = plan.itemsize == 4
        self.real = "float" if self.single else "double"
        self.prefix = c_prefix(self.network)
        calls = ("predict_call", "evaluate_call", "step_call", *(f"{name}_part" for name in RUNS))
        self.names = {*PHASES, *calls, *(f"{self.prefix}_{name}" for name in PUBLIC)}
        self.constants: dict[tuple[str, str], Constant] = {}
        self.functions: dict[tuple[tuple[str, ...], str], Function] = {}
        self.products: set[Product] = set()
        self.transforms: set[Transform] = set()

    def render(self, name: str, context: Mapping[str, object]) -> str:
        return _render(name, context, self.single)

    # ------------------------------------------------------------------------------------------- names

    def constant(self, step: PlannedStep, tensor: Tensor) -> str:
        """The constant with the offset of a tensor's buffer; both training steps share it where they agree."""
        local = step.workspace.get(tensor.name)
        train = self.plan.step("train")
        if step.name == "gradients" and train is not None and train.workspace.get(tensor.name) == local:
            step = train
        buffer = local or self.plan.kept[tensor.name]
        key = (step.name if local else "", tensor.name)
        if key not in self.constants:
            name = self.unique(f"{step.name}_{tensor.name}" if local else tensor.name)
            each = (
                f"{show_shape((self.plan.batch, *buffer.layout.stored))}"
                if tensor.batched
                else buffer.layout.describe()
            )
            shared = f", the memory of {buffer.alias}" if buffer.alias else ""
            self.constants[key] = Constant(name, buffer.offset, f"{each}{shared}")
        return self.constants[key].name

    def unique(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self.names:
            candidate, number = f"{name}_{number}", number + 1
        self.names.add(candidate)
        return candidate

    def c_type(self, tensor: Tensor) -> str:
        return {"real": self.real, "int": "int32_t", "double": "double"}[tensor.dtype]

    # ------------------------------------------------------------------------------------------- kernels

    def function(self, step: PlannedStep, kernel: Kernel) -> Function:
        """The C function of a kernel; jobs that do the same, in prediction and training or in several layers, share
        one."""
        op = kernel.operation
        tensors = _arguments(op)
        names = kernel.variant.arguments
        self.products.update(kernel.variant.products)
        self.transforms.update(kernel.variant.transforms)
        body = self.render(kernel.variant.template(op.kind), dict(kernel.variant.context))
        written = set(op.writes)
        arrays = [
            f"{'' if t in written else 'const '}{self.c_type(t)} *restrict {name}"
            for t, name in zip(tensors, names, strict=True)
        ]
        takes = tuple(
            word for word in RUNTIME_PARAMETERS if re.search(rf"(?<![\w>.]){word}\b", _without_comments(body))
        )
        parameters = (*arrays, *(RUNTIME_PARAMETERS[word] for word in takes))
        key = (parameters, body)
        if key not in self.functions:
            self.functions[key] = Function(
                name=self.unique(kernel.function),
                comment=f"line {op.line}: {_plain(op.comment)}" if op.line else _plain(op.comment),
                shapes=", ".join(f"{name} {self.shape(step, t)}" for t, name in zip(tensors, names, strict=True)),
                parameters=parameters,
                body=body,
                takes=takes,
            )
        elif self.shared(self.functions[key], kernel):
            self.functions[key] = replace(
                self.functions[key], also=tuple(dict.fromkeys((*self.functions[key].also, op.name)))
            )
        return self.functions[key]

    def shared(self, function: Function, kernel: Kernel) -> bool:
        """The function is named after another job."""
        return re.sub(r"_\d+$", "", function.name) != kernel.function

    def shape(self, step: PlannedStep, tensor: Tensor) -> str:
        """How the array lies, as C would declare it."""
        buffer = step.workspace.get(tensor.name) or self.plan.kept.get(tensor.name)
        layout = buffer.layout if buffer else Layout(tensor.shape)
        lanes = layout.examples
        batch = [f"n / {lanes}" if lanes > 1 else "n"] if tensor.batched else []
        return "".join(f"[{k}]" for k in (*batch, *layout.stored, *([lanes] if lanes > 1 else [])))

    def call(self, step: PlannedStep, kernel: Kernel, function: Function) -> str:
        arrays = [self.argument(step, tensor) for tensor in _arguments(kernel.operation)]
        alone = {"part": "0", "parts": "1"} if not kernel.parallel else {}
        others = [alone.get(word, RUNTIME_ARGUMENTS[word]) for word in function.takes]
        about = f" /* {kernel.operation.name} */" if self.shared(function, kernel) else ""
        return f"{function.name}({', '.join((*arrays, *others))});{about}"

    def groups(self, step: PlannedStep, kernels: list[Kernel], functions: list[Function]) -> tuple[CallGroup, ...]:
        """The calls of a phase, cut where the threads meet."""
        groups: list[CallGroup] = []
        calls: list[str] = []
        following = [*kernels, None][1:]
        for kernel, function, after in zip(kernels, functions, following, strict=True):
            calls.append(self.call(step, kernel, function))
            if kernel.barrier or after is None or after.parallel != kernel.parallel:
                groups.append(CallGroup(kernel.parallel, tuple(calls), kernel.barrier))
                calls = []
        return tuple(groups)

    def argument(self, step: PlannedStep, tensor: Tensor) -> str:
        if tensor.role in (INPUT, TARGET, OUTPUT):
            return tensor.name
        return f"at + {self.constant(step, tensor)}"

    def phase(self, step: PlannedStep, phase: PlannedPhase) -> PhaseFunction:
        kernels = [k for k in phase.kernels if not k.variant.is_alias]
        functions = [self.function(step, k) for k in kernels]
        groups = self.groups(step, kernels, functions)
        outside = self.outside(phase)
        uses_n = any("n" in f.takes for f in functions)
        name = f"{step.name}_{phase.name}"
        parameters = (
            f"const {self.prefix}_network *net",
            "meeting_place *meeting",
            *(self.declare(t) for t in outside),
        )
        counts = ("int n",) if uses_n else ()
        return PhaseFunction(name, PHASES[name], (*parameters, *counts, "int part", "int parts"), groups)

    def outside(self, phase: PlannedPhase) -> tuple[Tensor, ...]:
        """The caller's tensors that a phase touches."""
        used = [t for k in phase.kernels for t in _arguments(k.operation) if t.role in (INPUT, TARGET, OUTPUT)]
        return tuple(dict.fromkeys(used))

    def declare(self, tensor: Tensor) -> str:
        return f"{'' if tensor.role == OUTPUT else 'const '}{self.c_type(tensor)} *{tensor.name}"

    # ------------------------------------------------------------------------------------------- the whole file

    def source(self) -> CSource:
        phases = {
            f"{step.name}_{phase.name}": self.phase(step, phase) for step in self.plan.steps for phase in step.phases
        }
        for name in phases.keys() & {"gradients_forward", "gradients_backward"}:
            twin = phases[name.replace("gradients", "train")]
            phases[name] = twin if twin.code == phases[name].code else phases[name]
        trains = self.plan.graph.train is not None
        predict = self.plan.steps[0]
        few = most_examples(self.plan.graph.predict, self.plan.target.lanes(self.plan.itemsize))
        inputs = [f"const {self.real} *{v.name}_in" for v in self.network.inputs]
        outputs = [f"{self.real} *{h.name}_output" for h in self.network.heads]
        targets = [self.declare(t) for t in self.targets()]
        interface: dict[str, object] = {
            "prefix": self.prefix,
            "inputs": inputs,
            "outputs": outputs,
            "trains": trains,
            "targets": targets,
            "heads": len(self.network.heads),
        }
        header = self.render("network.h.j2", {**interface, "real": self.real})
        shared = self.shared_phases(phases)
        sharing = [function for function, runs in RUNS.items() if shared & set(runs)]
        context: dict[str, object] = {
            **interface,
            **self.numbers(),
            "header": header,
            "tools": self.tools(bool(sharing)),
            "sharing": sharing,
            "threads": self.plan.threads,
            "example_ns": {function: self.example_ns(runs) for function, runs in RUNS.items()},
            "few_share": "predict_few" in shared,
            "functions": list(self.functions.values()),
            "phases": list(dict.fromkeys(phases.values())),
            "few": few,
            "few_arguments": self.phase_call(predict.phase("few"), phases["predict_few"], shifted=True) if few else [],
            "prepare_arguments": self.prepare_call(predict, phases),
            "predict_arguments": self.phase_call(predict.phase("forward"), phases["predict_forward"], shifted=True),
            **self.training_context(phases),
        }
        context["constants"] = list(self.constants.values())
        return CSource(self.prefix, header, _tidy(self.render("network.c.j2", context)))

    def prepare_call(self, predict: PlannedStep, phases: Mapping[str, PhaseFunction]) -> list[str]:
        """What the phase of the parameters is called with; empty where there is none."""
        if "prepared" not in self.plan.kept:
            return []
        self.constant(predict, self.plan.kept["prepared"].tensor)
        return self.phase_call(predict.phase("prepare"), phases["predict_prepare"])

    def targets(self) -> tuple[Tensor, ...]:
        train = self.plan.graph.train
        if train is None:
            return ()
        found = {t.name: t for t in given_tensors(train) if t.role == TARGET}
        return tuple(found[f"{head.name}_target"] for head in self.network.heads)

    def numbers(self) -> dict[str, object]:
        plan = self.plan
        return {
            "net": self.network.name,
            "version": version(),
            "summary": summary(plan),
            "batch": plan.batch,
            "lanes": plan.target.lanes(plan.itemsize),
            "itemsize": plan.itemsize,
            "prediction_bytes": plan.arena_bytes(False),
            "training_bytes": plan.arena_bytes(True),
            "gradients_bytes": plan.arena_bytes(True, gradients=True),
        }

    def shared_phases(self, phases: Mapping[str, PhaseFunction]) -> set[str]:
        """The phases in which threads share some work."""
        several = self.plan.threads > 1
        return {name for name, phase in phases.items() if several and any(group.shared for group in phase.groups)}

    def example_ns(self, phases: Collection[str]) -> int:
        """Nanoseconds that one thread is estimated to need for an example, as one of a full mini-batch whose parameters
        are prepared."""
        named = {f"{step.name}_{phase.name}": phase for step in self.plan.steps for phase in step.phases}
        named = {name: phase for name, phase in named.items() if phase.name not in ("prepare", "few")}
        kernels = [kernel for name in phases if name in named for kernel in named[name].kernels]
        return ceil(sum(kernel.variant.cost_ns for kernel in kernels) / self.plan.batch)

    def tools(self, shares: bool) -> str:
        lanes = self.plan.target.lanes(self.plan.itemsize)
        context = {
            "real": self.real,
            "integer": "int32_t" if self.single else "int64_t",
            "lanes": lanes,
            "vector_bytes": lanes * self.plan.itemsize,
            "products": sorted(self.products),
            "transforms": sorted(self.transforms),
            "largest_square": max((t.elements**2 for t in self.transforms), default=0),
            "most_rows": max((p.rows for p in self.products), default=1),
            "most_vectors": max((p.vectors for p in self.products), default=1),
            "transpose_stages": transpose_stages(lanes),
            "single": self.single,
            "shares": shares,
            "f": "f" if self.single else "",
        }
        return self.render("tools.c.j2", context)

    def phase_call(self, phase: PlannedPhase, function: PhaseFunction, shifted: bool = False) -> list[str]:
        """What a thread calls a phase with; `shifted` by the first example of the mini-batch."""
        arrays = []
        for tensor in self.outside(phase):
            if tensor.name == "loss_sums":
                arrays.append("call->batch_sums")
            elif shifted:
                arrays.append(f"call->{tensor.name} + first * {tensor.elements}")
            else:
                arrays.append(f"call->{tensor.name}")
        numbers = [p.removeprefix("int ") for p in function.parameters if p in ("int n", "int part", "int parts")]
        return ["net", "meeting", *arrays, *numbers]

    def training_context(self, phases: dict[str, PhaseFunction]) -> dict[str, object]:
        train = self.plan.step("train")
        gradients = self.plan.step("gradients")
        if train is None or gradients is None:
            empty = ("evaluate_arguments", "gradients_forward", "gradients_backward",
                     "gradients_forward_arguments", "gradients_backward_arguments",
                     "forward_arguments", "backward_arguments", "update_arguments", "gathered",
                     "gathered_arguments")  # fmt: skip
            return {key: [] for key in empty}
        loss = self.plan.steps[0].phase("losses")
        given = {t.name: t for t in given_tensors(self.plan.graph.train)} if self.plan.graph.train else {}
        order = [*(f"{v.name}_in" for v in self.network.inputs), *(t.name for t in self.targets())]
        gathered = [self.gathered(given[name]) for name in order]
        return {
            "evaluate_arguments": self.phase_call(loss, phases["predict_losses"], shifted=True),
            "forward_arguments": self.phase_call(train.phase("forward"), phases["train_forward"]),
            "gradients_forward": phases["gradients_forward"].name,
            "gradients_backward": phases["gradients_backward"].name,
            "gradients_forward_arguments": self.phase_call(gradients.phase("forward"), phases["gradients_forward"]),
            "gradients_backward_arguments": self.phase_call(gradients.phase("backward"), phases["gradients_backward"]),
            "backward_arguments": self.phase_call(train.phase("backward"), phases["train_backward"]),
            "update_arguments": self.phase_call(train.phase("update"), phases["train_update"]),
            "gathered": gathered,
            "gathered_arguments": [f"(const {g.type} *)(net->arena + {g.staging})" for g in gathered],
        }

    def gathered(self, tensor: Tensor) -> Gathered:
        buffer = self.plan.kept[f"{tensor.name}_staging"]
        name = self.unique(f"{tensor.name}_staging")
        each = show_shape((self.plan.batch, *tensor.shape))
        self.constants[("", name)] = Constant(name, buffer.offset, f"{each}, one mini-batch")
        return Gathered(tensor.name, self.c_type(tensor), tensor.elements, name)


@dataclass(frozen=True)
class Stage:
    """One stage of a transposition: which numbers of two rows, of the first 0.., of the second lanes.., are taken."""

    distance: int
    first: tuple[int, ...]
    second: tuple[int, ...]


def transpose_stages(lanes: int) -> list[Stage]:
    """How a square of vectors is transposed: in stage d the off-diagonal squares of d x d numbers are swapped."""
    distances = [1 << i for i in range(lanes.bit_length() - 1)]
    return [
        Stage(
            d,
            tuple(lanes + i - d if i & d else i for i in range(lanes)),
            tuple(lanes + i if i & d else i + d for i in range(lanes)),
        )
        for d in distances
    ]


def _arguments(op: Operation) -> tuple[Tensor, ...]:
    """The tensors of an operation, each once: what it reads, then what it only writes."""
    return tuple(dict.fromkeys((*op.reads, *op.writes)))


def _without_comments(code: str) -> str:
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)


def _plain(text: str) -> str:
    """Text of a spec made harmless inside a comment of C."""
    return (
        "".join(c if c.isascii() and c.isprintable() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")
    )


def _tidy(code: str) -> str:
    """No factors of one, no trailing blanks, no more than one empty line in a row, one at the end."""
    lines = (line.rstrip() for line in without_ones(code).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def without_ones(code: str) -> str:
    """C as one would write it where a tensor has one channel, or a window a stride of one: `n` for `n * 1`.

    A factor in front goes only where an operand begins: what it follows must not be a division.
    """
    code = re.sub(r"(?<=[\w)\]]) [*/] 1(?![\w.])", "", code)
    return re.sub(r"((?:[(\[]|[(\w)\]] [+=-] |, ))1 \* ", r"\1", code)


def version() -> str:
    return metadata.version("dslc")


def summary(plan: Plan) -> list[str]:
    """What the head of the file tells the reader."""
    network = plan.graph.network
    trained = sum(p.elements for p in network.parameters if p.trained)
    lines = [
        f"{len(network.nodes)} layers, {trained:,} parameters, {network.precision}, "
        f"at most {plan.batch} examples at a time.",
        f"Memory: {plan.arena_bytes(False):,} bytes for prediction"
        + (f", {plan.arena_bytes(True):,} for training" if plan.graph.train else "")
        + (f", {plan.bytes('asked_gradients'):,} more for gradients()." if plan.graph.train else "."),
        f"Vectors of {plan.target.lanes(plan.itemsize)} numbers ({plan.target.name}), "
        f"at most {plan.threads} thread{'s' * (plan.threads > 1)}.",
    ]
    return lines
