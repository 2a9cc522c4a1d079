"""What a function that translates an operator sees of the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dslc.interchange.draft import Draft, Step
from dslc.interchange.onnx_file import OnnxNode
from dslc.interchange.settling import settled
from dslc.interchange.values import Constant, Flowing, Lacking, Value
from dslc.numerics import Array, np


@dataclass(frozen=True)
class At:
    """A node with its inputs (None for one that is left out). `batch` is the number of examples that the model is
    translated for."""

    draft: Draft
    node: OnnxNode
    inputs: tuple[Value | None, ...]
    opset: int
    batch: int

    def given(self, place: int) -> bool:
        """Whether there is such an input."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def value(self, place: int = 0) -> Value:
        """An input as it is. Raises Lacking if it is left out."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None:
            raise Lacking(f"its input {place + 1} is missing")
        return found

    def flowing(self, place: int = 0) -> Flowing:
        """An input with all its layers emitted."""
        return settled(self.draft, self.value(place))

    def constant(self, place: int) -> Array | None:
        """An input that is constant; None where it is left out. Raises Lacking where it depends on the inputs."""
        if not self.given(place):
            return None
        value = self.value(place)
        if not isinstance(value, Constant):
            raise Lacking(f"its input {place + 1} is computed: it has to be a constant")
        return value.array

    def needed(self, place: int) -> Array:
        """An input that has to be constant."""
        found = self.constant(place)
        if found is None:
            raise Lacking(f"its input {place + 1} is missing")
        return found

    def weights(self, place: int) -> Array | None:
        """A constant in single precision."""
        found = self.constant(place)
        return None if found is None else np.asarray(found, np.float32)

    # ------------------------------------------------------------------------------------------- attributes

    def whole(self, name: str, default: int | None = None) -> int:
        """An attribute that is a whole number."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int):
            raise Lacking(f"its attribute {name} should be a whole number")
        return found

    def real(self, name: str, default: float) -> float:
        """An attribute that is a number."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int | float):
            raise Lacking(f"its attribute {name} should be a number")
        return float(str(np.float32(found)))  # 1e-5, as it was before it was rounded to single precision

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, str):
            raise Lacking(f"its attribute {name} should be a text")
        return found

    def wholes(self, name: str) -> list[int] | None:
        """An attribute that is a list of whole numbers; None where it is left out."""
        found = self.node.attributes.get(name)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(n, int) for n in found):
            raise Lacking(f"its attribute {name} should be a list of whole numbers")
        return found

    def listed(self, name: str, place: int) -> list[int] | None:
        """Whole numbers that older versions of an operator have as an attribute and newer ones as an input."""
        if self.given(place):
            return [int(n) for n in np.atleast_1d(self.needed(place))]
        return self.wholes(name)

    # ------------------------------------------------------------------------------------------- layers

    def emit(
        self, kind: str, *inputs: Flowing, parameters: Mapping[str, Array | None] | None = None, weight: int = 1,
        **arguments: Any,
    ) -> Step:  # fmt: skip
        """Adds a layer, which is named after its weights, the constant at the place `weight`, or after the node."""
        given = {role: np.asarray(a, np.float32) for role, a in (parameters or {}).items() if a is not None}
        label = self.label(weight) if given else ""
        return self.draft.emit(kind, tuple(x.source for x in inputs), given, label, **arguments)

    def label(self, weight: int) -> str:
        """`features_0` for the weights `features.0.weight`, or the node `/features/features.0/Conv`."""
        name = self.node.inputs[weight] if weight < len(self.node.inputs) else ""
        owner = re.fullmatch(r"(.*[A-Za-z].*?)[./](weight|kernel|gamma|scale|W)(:0)?", name)
        if owner is None:
            return path_name(self.node.name)
        return cleaned(owner[1])


def path_name(node: str) -> str:
    """`layer1_0_conv1` for the node `/layer1/layer1.0/conv1/Conv`: what does not only repeat the beginning of the part
    behind it."""
    path = [part for part in node.split("/") if part][:-1]
    followed = [*path[1:], ""]
    kept = [part for part, following in zip(path, followed, strict=False) if not following.startswith(f"{part}.")]
    return cleaned(".".join(kept)) or (cleaned(path[-1]) if path else "")


def cleaned(name: str) -> str:
    """A name with letters, digits and _ alone; empty where no letter is left."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    return found if re.match(r"[A-Za-z]", found) else ""


Translation = Callable[[At], Value | tuple[Value, ...]]
