"""Pages of the language's things, from the classes that define them: arguments, formulas with their sources, and for a
layer a picture and the C of an example."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import MISSING, fields
from typing import Any

import expand

from dslc.editor import vocabulary
from dslc.language.arguments import Real, Whole, show, slots
from dslc.layers import Activation, Example
from dslc.scalar import Scalar
from helpers import example_spec

KINDS = {
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "regularize": "Regularizers",
    "clip": "Clips",
    "init": "Initial weights",
    "average": "Averages",
}
"""Kinds of things besides layers, and the titles of their pages."""

LAYERS = """# Layers

From the classes that define them; [the language](../../language.md) has them in one table with sizes.
"""


def pages() -> dict[str, str]:
    """Markdown by path."""
    found = {f"reference/{kind}.md": _kind(kind, title) for kind, title in KINDS.items()}
    names = vocabulary.names("layer")
    for name in names:
        found[f"reference/layers/{name}.md"] = _layer(name)
    rows = "\n".join(
        f"| [`{name}`]({name}.md) | {_escaped(vocabulary.about(_class('layer', name)))} |" for name in names
    )
    found["reference/layers/index.md"] = f"{LAYERS}\n| layer | does |\n| --- | --- |\n{rows}\n"
    return found


def _class(kind: str, name: str) -> type[Any]:
    found = vocabulary.find(kind, name)
    assert found is not None
    return found


def _kind(kind: str, title: str) -> str:
    parts = [f"# {title}"]
    for name in vocabulary.names(kind):
        thing = _class(kind, name)
        parts += [
            f"## {name}",
            f"`{vocabulary.signature(name, thing)}`",
            _escaped(vocabulary.about(thing)),
            _arguments(thing),
            _says(thing),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _layer(name: str) -> str:
    thing = _class("layer", name)
    parts = [
        f"# {name}",
        f"`{vocabulary.signature(name, thing)}`",
        _escaped(vocabulary.about(thing)),
        _arguments(thing),
    ]
    if issubclass(thing, Activation):
        parts.append(_formulas(name, thing))
    parts.append(_says(thing))
    if thing.examples:
        parts.append(_example(thing.examples[0], name))
    return "\n\n".join(part for part in parts if part) + "\n"


def _arguments(thing: type[Any]) -> str:
    """A table of what a thing takes."""
    defaults = {f.name: f.default for f in fields(thing)}
    rows = []
    for slot in slots(thing):
        default = defaults[slot.field]
        shown = "" if default is MISSING or default is None or slot.required else f"`{_shown(default)}`"
        rows.append(f"| `{slot.name}` | {_kind_of(slot.kind)} | {shown} |")
    return "\n".join(["| argument | is | default |", "| --- | --- | --- |", *rows]) if rows else ""


def _kind_of(kind: Any) -> str:
    """What an argument takes: numbers with their bounds, else the first sentence of its type's own words."""
    if isinstance(kind, Whole):
        return f"a whole number, at least {kind.low}" + (f", at most {kind.high}" if kind.high < 2**31 - 1 else "")
    if isinstance(kind, Real):
        low = "" if kind.low == -math.inf else f", {'more than' if kind.open_low else 'at least'} {kind.low:g}"
        high = "" if kind.high == math.inf else f", {'less than' if kind.open_high else 'at most'} {kind.high:g}"
        return f"a number{low}{high}"
    return " ".join((inspect.getdoc(type(kind)) or type(kind).__name__).split(". ")[0].split()).rstrip(".")


def _shown(value: object) -> str:
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return value if isinstance(value, str) else show(value)


def _formulas(name: str, thing: type[Activation]) -> str:
    """Value and derivative as the C computes them, with default arguments."""
    layer = thing() if not any(slot.required for slot in slots(thing)) else None
    if layer is None:
        return ""
    return f"```c\ny     = {_c(layer.value())};\ndy/dx = {_c(layer.derivative())};\n```"


def _c(formula: Scalar) -> str:
    return re.sub(r"REAL\(([^()]*)\)", r"\1", str(formula))


def _says(thing: type[Any]) -> str:
    """The docstrings of its own methods: formulas, size rules, sources."""
    own = [
        (method, inspect.getdoc(value))
        for cls in thing.__mro__
        if cls.__module__.startswith(thing.__module__.rpartition(".")[0] + ".")
        for method, value in vars(cls).items()
        if not method.startswith("_") and inspect.isfunction(value)
    ]
    seen: dict[str, str] = {}
    for method, text in own:
        if text and method in WORDS:
            seen.setdefault(method, text)
    return "\n\n".join(f"**{WORDS[method]}**: {_escaped(seen[method])}" for method in WORDS if method in seen)


WORDS = {
    "infer": "Size",
    "parameters": "Parameters",
    "value": "Value",
    "derivative": "Derivative",
    "reference": "Formula",
    "augmented": "What is drawn",
    "learning_rate": "Learning rate",
    "update": "Update",
    "scale": "Scale",
    "sample": "Values",
    "penalty": "Penalty",
    "gradient": "Gradient",
    "multiply_adds": "Multiply-adds",
}
"""Methods whose words a reader wants, and what they are called there."""


def _escaped(text: str) -> str:
    """Words of a docstring in Markdown: formulas have stars and underscores of their own, but for what is code."""
    pieces = " ".join(text.split()).split("`")
    return "`".join(re.sub(r"([*_<|])", r"\\\1", piece) if i % 2 == 0 else piece for i, piece in enumerate(pieces))


def _example(example: Example, name: str) -> str:
    spec = example_spec(example)  # something learns before the layer, so that it has a backward pass
    parts = [f"## Example\n\n```net\n{spec}```", expand.picture(spec)]
    layer = f"{name}1"
    functions = expand.functions(spec).get(layer, ())
    if functions:
        parts.append("The C of the layer, for one thread and without vectors:")
        parts += [f"```c\n{f.code}```" for f in functions]
    return "\n\n".join(parts)
