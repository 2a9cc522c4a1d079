"""The words of the language with what there is to say of each, taken from the classes that define them."""

from __future__ import annotations

from dataclasses import MISSING, fields
from inspect import getdoc
from types import ModuleType
from typing import Any

from dslc import averages, clips, inits, layers, losses, optimizers, registry, regularizers, schedules
from dslc.averages import Average
from dslc.checker.common import COMMON
from dslc.checker.metrics import METRICS
from dslc.clips import Clip
from dslc.inits import Init
from dslc.ir import ON_NAN, PRECISIONS
from dslc.language.arguments import show, slots
from dslc.layers import Layer
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.regularizers import Regularizer
from dslc.schedules import Schedule

THINGS: dict[str, tuple[ModuleType, type[Any]]] = {
    "layer": (layers, Layer),
    "loss": (losses, Loss),
    "optimizer": (optimizers, Optimizer),
    "schedule": (schedules, Schedule),
    "regularize": (regularizers, Regularizer),
    "clip": (clips, Clip),
    "init": (inits, Init),
    "average": (averages, Average),
}
"""Kinds of things that have arguments; all but layers are called as the setting that they belong to."""
SETTINGS = {
    "loss": "What training makes small; with several outputs one line each: `loss NAME: value`.",
    "optimizer": "How weights follow their gradients, with the learning rate.",
    "schedule": "How the learning rate changes.",
    "regularize": "Penalties on large weights, and bounds of them.",
    "clip": "Bounds gradients.",
    "init": "The initial weights of all layers without `init=`.",
    "batch": "How many examples a step sees, or `all`; `batch 256 in 8` works through them in slices.",
    "epochs": "How often training goes through the data.",
    "seed": "Of every random number.",
    "shuffle": "Whether every epoch has an order of its own: `on` or `off`.",
    "stop": "When training ends before its last epoch: `early(patience)`.",
    "metrics": "What is shown of every epoch besides the loss.",
    "optimize": "The metric that tells which epoch is best, `subject_to` bounds.",
    "freeze": "Layers that do not learn.",
    "precision": "`float32`, `float64`, or `mixed`: float32 with products of dense and attention in bf16.",
    "standardize_target": "`on`: outputs of numbers learn standardized targets and answer in the targets' own unit.",
    "average": "Predictions use averages of the parameters over the updates.",
    "on_nan": "At a step that is not finite: `stop`, or go on without it, `skip`, perhaps with half the learning rate.",
    "memory": "`low`, or the most that training may take, as in `500MB`: what is not kept is computed again.",
    "quantize": "`int8`: training rounds weights and values as `dslc quantize` will, and learns to do with it.",
    "precise": "`on`: only algorithms with no more rounding error than the plain sum.",
}
WORDS = {
    "batch": ("all",),
    "shuffle": ("on", "off"),
    "precise": ("on", "off"),
    "standardize_target": ("on", "off"),
    "precision": PRECISIONS,
    "on_nan": ON_NAN,
    "memory": ("low", "off"),
    "quantize": ("int8", "off"),
    "stop": ("early",),
    "metrics": (*METRICS, "confusion"),
    "optimize": (*METRICS, "dev_loss", "subject_to"),
}
"""What follows a setting that has no things of its own."""


def names(kind: str) -> tuple[str, ...]:
    """The names of a kind of things."""
    return registry.names(THINGS[kind][0])


def find(kind: str, name: str) -> type[Any] | None:
    """The class of a name; None if nothing of this kind has it."""
    return registry.find(THINGS[kind][0], name, THINGS[kind][1]) if kind in THINGS else None


def arguments(kind: str, thing: type[Any]) -> tuple[str, ...]:
    """The names of what a thing takes; for layers with weights also what all of those take."""
    own = tuple(slot.name for slot in slots(thing))
    return (*own, *COMMON) if kind == "layer" and thing.parameters is not Layer.parameters else own


def signature(name: str, thing: type[Any]) -> str:
    """A call with all arguments and their defaults: `conv(filters, size, stride=1, ...)`."""
    defaults = {f.name: f.default for f in fields(thing)}
    written = []
    for slot in slots(thing):
        default = defaults[slot.field]
        optional = default is not MISSING and not slot.required
        written.append(f"{slot.name}={_shown(default)}" if optional and default is not None else slot.name)
    return f"{name}({', '.join(written)})" if written else name


def _shown(value: object) -> str:
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return value if isinstance(value, str) else show(value)


def about(thing: type[Any]) -> str:
    """What the class says of itself."""
    return " ".join((getdoc(thing) or "").split())
