"""The header of an exported network: what its functions take, give and return."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.codegen.templating import render
from dslc.export.network import Trained
from dslc.ir import Value
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
    Error("NO_TRAINING", "this network was exported for prediction only"),
    Error("NO_WEIGHTS", "no weights were loaded"),
    Error("NOT_WEIGHTS", "the data are no weights of this kind"),
    Error("WEIGHTS_SIZE", "the weights are cut off, or something stands behind them"),
    Error("BYTE_ORDER", "the weights are those of a machine with another byte order"),
    Error("OTHER_NETWORK", "the weights belong to another network, or to one exported in another way"),
)


@dataclass(frozen=True)
class Port:
    """An array of the caller: its name in C, the constant with the numbers of an example, and their shape."""

    name: str
    constant: str
    elements: int
    shape: str


@dataclass(frozen=True)
class ClassNames:
    """Names of a head's classes as C strings; `prefix` and `of` tell heads apart where there are several."""

    prefix: str
    of: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Interface:
    """Names and types of the public functions. `real` is the type of all numbers."""

    trained: Trained
    real: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

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
    def classes(self) -> list[ClassNames]:
        """The class names of the heads that have some."""
        found, several = self.trained.classes, len(self.outputs) > 1
        return [
            ClassNames(f"{head}_" if several else "", f" of {head}" if several else "", tuple(map(c_string, names)))
            for head, names in found.items()
        ]


def interface_of(trained: Trained, itemsize: int) -> Interface:
    """`x` and `out` where there is one input and one output, else arrays named after them."""
    network = trained.network
    return Interface(
        trained,
        "float" if itemsize == 4 else "double",
        tuple(_port(v, "x", v.name, "INPUT", len(network.inputs) == 1) for v in network.inputs),
        tuple(_port(h.value, "out", h.name, "OUTPUT", len(network.heads) == 1) for h in network.heads),
    )


def _port(value: Value, alone: str, name: str, kind: str, single: bool) -> Port:
    constant = f"{kind}S" if single else f"{name.upper()}_{kind}S"
    own = alone if single else f"{name}_{'in' if kind == 'INPUT' else 'out'}"
    return Port(own, constant, value.elements, show_shape(value.shape))


def c_string(text: str) -> str:
    """A string literal: bytes of UTF-8, with octal escapes for all but plain ones."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def header(interface: Interface, context: dict[str, object]) -> str:
    """NAME.h. `context` is what it shares with NAME.c."""
    shared = ("title", "version", "about", "upper", "prefix", "batch", "alignment", "fields", "trains", "weights_note",
              "init_note")  # fmt: skip
    own = {
        "inputs": interface.inputs,
        "outputs": interface.outputs,
        "errors": ERRORS,
        "given": interface.given,
        "made": interface.made,
        "classes": interface.classes,
        "arrays_note": "Arrays hold example after example; channels come last.",
    }
    return render("export/network.h.j2", {**{key: context[key] for key in shared}, **own}, interface.real == "float")
