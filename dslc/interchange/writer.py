"""Layers as a spec that people read: chains, a line for each layer with weights, and names only where needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import zip_longest
from typing import Any

import dslc.layers
from dslc import registry
from dslc.interchange.draft import Step, layer_of
from dslc.interchange.operators._at import cleaned
from dslc.interchange.translate import End, Translated
from dslc.language.arguments import slots
from dslc.numerics import Array
from dslc.shape import show_shape

RESERVED = {"in", "on", "off", "input", "output", "net", "param", "block", "repeat", "train"}
WIDTH = 110
SHORT = ("batchnorm", "scale", "prelu", "standardize")
"""Layers with parameters that stay in the line of the layer before."""


@dataclass(frozen=True)
class Written:
    """A spec, its parameters by their names in it, and the words for the outputs of the model and the inputs that they
    need."""

    text: str
    parameters: Mapping[str, Array]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def written(found: Translated, net: str, comment: str) -> Written:
    """The spec of a translated model."""
    return _Writer(found).written(net, comment)


class _Writer:
    """Names everything, then prints it."""

    def __init__(self, found: Translated) -> None:
        self.found = found
        self.taken = RESERVED | set(registry.names(dslc.layers))
        self.inputs = {name: self._unused(cleaned(name) or "x") for name in found.inputs}
        self.readers = Counter(source for step in found.steps for source in step.inputs)
        self.usual = _default_names(found.steps)
        self.layers = _layer_names(found.steps, self.usual)
        self.values: dict[str, str] = {name: word for name, word in self.inputs.items()}
        self.heads = self._heads()
        self.pieces: list[str] = []
        self.lines: list[str] = []
        self.flowing = ""

    def _unused(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _heads(self) -> dict[str, End]:
        """Outputs by our values: all but that of a single head that comes last."""
        ends = self.found.ends
        if len(ends) == 1 and self.found.steps and ends[0].value.source == self.found.steps[-1].result:
            return {}
        return {end.value.source: end for end in ends}

    def written(self, net: str, comment: str) -> Written:
        for step, following in zip_longest(self.found.steps, self.found.steps[1:]):
            self._layer(step, following)
        self._end_line()
        outputs = self._outputs()
        parameters = {
            f"{self.layers[step.result]}.{role}": array
            for step in self.found.steps
            for role, array in step.parameters.items()
        }
        head = [*(f"# {line}" for line in comment.splitlines()), f"net {net} {{"]
        read = {name: x for name, x in self.found.inputs.items() if self.readers[name] or name in self.heads}
        inputs = [f"  input {self.inputs[name]}: {show_shape(x.shape)}" for name, x in read.items()]
        text = "\n".join([*head, *inputs, "", *self.lines, "}", ""])
        return Written(text, parameters, {name: self.inputs[name] for name in read}, outputs)

    def _outputs(self) -> dict[str, str]:
        """The heads by the outputs of the model. A value that is an output under two names gets a layer that passes it
        on, and so does an input."""
        names: dict[str, str] = {}
        for end in self.found.ends:
            source = end.value.source
            if not self.heads:
                names[end.name] = "output"
            elif self.heads[source].name == end.name and source not in self.found.inputs:
                names[end.name] = self.values[source]
            else:
                names[end.name] = self._unused(cleaned(end.name) or "y")
                self.lines.append(f"  output {names[end.name]} = {self.values[source]} -> linear")
        return names

    # ------------------------------------------------------------------------------------------- lines

    def _layer(self, step: Step, following: Step | None) -> None:
        """Adds a layer to the line, or begins one. Its result gets a name unless only the next layer reads it, and as
        the first of what that joins."""
        call = self._call(step)
        follows = self.flowing == step.inputs[0] and self.flowing not in self.values
        heavy = bool(step.parameters) and step.kind not in SHORT
        if not follows:
            self._end_line()
            alone = not self.lines and len(self.found.inputs) == 1
            if len(step.inputs) == 1 and not alone:
                self.pieces.append(self.values[step.inputs[0]])
        elif heavy or len("".join(self.pieces)) + len(call) > WIDTH:
            self._end_line()
        self.pieces.append(call)
        self.flowing = step.result
        if step.result in self.heads:
            self._named(step, "output ", cleaned(self.heads[step.result].name) or "y")
        elif self.readers[step.result] > 1 or (following is not None and following.inputs[0] != step.result):
            self._named(step, "", self.layers[step.result])

    def _named(self, step: Step, before: str, wanted: str) -> None:
        self.values[step.result] = self._unused(wanted)
        self.pieces[0] = f"{before}{self.values[step.result]} = {self.pieces[0]}"
        self._end_line()

    def _end_line(self) -> None:
        if self.pieces:
            self.lines.append("  " + " -> ".join(self.pieces))
            self.pieces = []

    def _call(self, step: Step) -> str:
        """A layer with its arguments; values that it joins beside the one that flows are among them."""
        joined = step.inputs
        if len(joined) > 1 and self.flowing == joined[0] and self.flowing not in self.values:
            joined = joined[1:]
        parts = [self.values[source] for source in joined] if len(step.inputs) > 1 else []
        parts += _arguments(step)
        name = self.layers[step.result]
        if name != self.usual[step.result]:
            parts.append(f"name={name}")
        if step.frozen:
            parts.append("freeze=on")
        return f"{step.kind}({', '.join(parts)})" if parts else step.kind


def _default_names(steps: Sequence[Step]) -> dict[str, str]:
    """The names that layers have by their kinds and places."""
    counts: Counter[str] = Counter()
    names = {}
    for step in steps:
        counts[step.kind] += 1
        names[step.result] = f"{step.kind}{counts[step.kind]}"
    return names


def _layer_names(steps: Sequence[Step], usual: Mapping[str, str]) -> dict[str, str]:
    """A name for each layer: that of the model where it has one and parameters, else its usual one."""
    names = dict(usual)
    labelled = [step for step in steps if step.label and step.parameters]
    taken = RESERVED | set(registry.names(dslc.layers)) | {names[step.result] for step in steps if step not in labelled}
    for step in labelled:
        name, number = step.label, 2
        while name in taken:
            name, number = f"{step.label}_{number}", number + 1
        taken.add(name)
        names[step.result] = name
    return names


def _arguments(step: Step) -> list[str]:
    """The arguments that differ from what a layer takes by default; the first ones by their place."""
    kind = type(layer_of(step.kind, step.arguments))
    defaults = {f.name: f.default for f in fields(kind)}  # type: ignore[arg-type]
    parts: list[str] = []
    by_place = True
    for slot in slots(kind):
        value = step.arguments.get(slot.name, defaults[slot.name])
        if value == defaults[slot.name] and defaults[slot.name] is not MISSING:
            by_place = False
            continue
        by_place = by_place and slot.required
        text = show_shape(value) if slot.name == "size" and isinstance(value, tuple) else shown(value)
        parts.append(text if by_place else f"{slot.name}={text}")
    return parts


def shown(value: Any) -> str:
    """A value as the language writes it: a square by one number, four sides in brackets."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, tuple) and any(isinstance(part, tuple) for part in value):
        return f"({', '.join(str(n) for side in value for n in side)})"
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 and len(value) == 2 else show_shape(value)
    return str(value)
