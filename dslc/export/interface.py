"""The header of an exported network: what its functions take, give and return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.templating import render
from dslc.export.network import MOST_THREADS, Trained
from dslc.ir import Head, Value
from dslc.shape import show_shape


@dataclass(frozen=True)
class Error:
    """A value that functions return."""

    name: str
    meaning: str


ERRORS = (
    Error("OK", "done"),
    Error("NULL_POINTER", "a pointer is NULL"),
    Error("BAD_BATCH", "n or max_batch is below 1, or more than there is memory for"),
    Error("TOO_SMALL", "fewer bytes of memory than memory_size says"),
    Error("MISALIGNED", "memory or weights begin at an address that is no multiple of ALIGNMENT"),
    Error("NO_TRAINING", "this network was exported, or given memory, for prediction only"),
    Error("NO_WEIGHTS", "no weights were loaded"),
    Error("NOT_WEIGHTS", "the data are no weights of this kind"),
    Error("WEIGHTS_SIZE", "the weights are cut off, or something stands behind them"),
    Error("BYTE_ORDER", "the weights are those of a machine with another byte order"),
    Error("OTHER_NETWORK", "the weights belong to another network, or to one exported in another way"),
)
TRAINING_ERRORS = (
    Error("BAD_LABEL", "y has a class that there is not"),
    Error("NOT_FINITE", "the loss is infinite or not a number: nothing was updated"),
    Error("NO_PARAMETER", "no parameter has this name"),
    Error("PARAMETER_SIZE", "the parameter has another number of numbers"),
)
THREAD_ERRORS = (Error("BAD_THREADS", "the number of threads is below 1, or more than MOST_THREADS"),)
NO_THREAD = Error("NO_THREAD", "the system starts no more threads")


def errors_of(trains: bool, threads: str = "") -> tuple[Error, ...]:
    """What its functions return, in the order of the codes. `threads`: "pthread", "openmp" or nothing."""
    of_threads = THREAD_ERRORS if threads else ()
    of_training = TRAINING_ERRORS if trains else ()
    return (*ERRORS, *of_training, *of_threads, *((NO_THREAD,) if threads == "pthread" else ()))


@dataclass(frozen=True)
class Port:
    """An array of the caller: its name in C, the constant with the numbers of an example, and their shape."""

    name: str
    constant: str
    elements: int
    shape: str


@dataclass(frozen=True)
class Target:
    """What a head should say: the array's name and type in C, and the number of classes where it holds classes."""

    name: str
    type: str
    classes: int
    shape: str


@dataclass(frozen=True)
class ClassNames:
    """Names of a head's classes as C strings, the `longest` in bytes; `prefix` and `of` tell heads apart where there
    are several."""

    prefix: str
    of: str
    names: tuple[str, ...]
    longest: int


@dataclass(frozen=True)
class Interface:
    """Names and types of the public functions. `real` is the type of all numbers."""

    trained: Trained
    real: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    targets: tuple[Target, ...]

    @property
    def prefix(self) -> str:
        """What every symbol begins with."""
        return self.trained.prefix

    @property
    def given(self) -> str:
        """The parameters for the inputs."""
        return ", ".join(f"const {self.real} *{port.name}" for port in self.inputs)

    @property
    def made(self) -> str:
        """The parameters for the outputs."""
        return ", ".join(f"{self.real} *{port.name}" for port in self.outputs)

    @property
    def wanted(self) -> str:
        """The parameters for the targets."""
        return ", ".join(f"const {target.type} *{target.name}" for target in self.targets)

    @property
    def classes(self) -> list[ClassNames]:
        """The class names of the heads that have some."""
        found, several = self.trained.classes, len(self.outputs) > 1
        return [
            ClassNames(
                f"{head}_" if several else "",
                f" of {head}" if several else "",
                tuple(map(c_string, names)),
                max(len(name.encode()) for name in names),
            )
            for head, names in found.items()
        ]


def interface_of(trained: Trained, itemsize: int) -> Interface:
    """`x` and `out` where there is one input and one output, else arrays named after them."""
    network, real = trained.network, "float" if itemsize == 4 else "double"
    return Interface(
        trained,
        real,
        tuple(_port(v, "x", v.name, "INPUT", len(network.inputs) == 1) for v in network.inputs),
        tuple(_port(h.value, "out", h.name, "OUTPUT", len(network.answers) == 1) for h in network.answers),
        tuple(_target(h, real, len(network.heads) == 1) for h in network.heads),
    )


def _target(head: Head, real: str, single: bool) -> Target:
    name = "y" if single else f"{head.name}_y"
    if head.loss is not None and head.loss.numbered:
        return Target(name, "int32_t", head.value.shape[0], "the number of the class")
    shape = head.value.shape if head.loss is None else head.loss.target_shape(head.value.shape)
    return Target(name, real, 0, show_shape(shape))


def _port(value: Value, alone: str, name: str, kind: str, single: bool) -> Port:
    constant = f"{kind}S" if single else f"{name}_{kind}S"
    own = alone if single else f"{name}_{'in' if kind == 'INPUT' else 'out'}"
    return Port(own, constant, value.elements, show_shape(value.shape))


def c_string(text: str) -> str:
    """A string literal: bytes of UTF-8, with octal escapes for all but plain ones."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def header(
    interface: Interface, shared: Mapping[str, object], trains: bool, weights_note: str, threads: str = ""
) -> str:
    """NAME.h. `shared` is what it has in common with NAME.c."""
    kinds = sorted({f"{target.name}: {target.shape}" for target in interface.targets})
    training = interface.trained.network.training
    parameters = interface.trained.network.parameters
    context = {
        **shared,
        "trains": trains,
        "real": interface.real,
        "fields": _fields(interface, trains, threads),
        "inputs": interface.inputs,
        "outputs": interface.outputs,
        "errors": errors_of(trains, threads),
        "threads": threads,
        **({"most_threads": MOST_THREADS} if threads else {}),
        "given": interface.given,
        "made": interface.made,
        "wanted": interface.wanted,
        "classes": interface.classes,
        "some_parameter": parameters[0].name if parameters else "",
        "optimizer": type(training.optimizer).__name__.lower() if training else "",
        "targets_note": f"Of each example {', '.join(kinds)}.",
        "weights_note": weights_note,
        "init_note": "seed is that of dropout and augmentation."
        if trains
        else "for_training is 0; seed has no effect.",
        "arrays_note": "Arrays hold example after example; channels come last.",
    }
    return render("export/network.h.j2", context, interface.real == "float")


def _fields(interface: Interface, trains: bool, threads: str) -> list[str]:
    """The fields of the struct."""
    real, of_threads = interface.real, {"pthread": [f"{interface.prefix}_threads *threads"], "openmp": ["int threads"]}
    if not trains:
        return [f"{real} *memory", f"const {real} *weights", "int max_batch", *of_threads.get(threads, [])]
    return [f"{real} *memory", "uint64_t seed", "int64_t step", "double lr", "int max_batch, for_training, loaded"]
