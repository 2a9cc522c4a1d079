"""A quantized network as arrays by name and a text, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from dslc.json_text import parsed
from dslc.numerics import Array, np
from dslc.quantization import program as parts
from dslc.quantization.arithmetic import Encoding
from dslc.quantization.program import Program

KINDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        Encoding, Program, parts.AveragePool, parts.Concat, parts.Ending, parts.Lookup, parts.MaxPool, parts.Port,
        parts.Product, parts.Sum, parts.Tensor, parts.Window,
    )
}  # fmt: skip
"""What a text may name."""


def to_arrays(program: Program) -> tuple[dict[str, Array], str]:
    """The arrays by the names `OPERATION.FIELD`, and all else as JSON."""
    arrays: dict[str, Array] = {}

    def plain(thing: Any) -> Any:
        if not is_dataclass(thing):
            return [plain(part) for part in thing] if isinstance(thing, tuple) else thing
        found: dict[str, Any] = {"kind": type(thing).__name__}
        for field in fields(thing):
            value = getattr(thing, field.name)
            if isinstance(value, np.ndarray):
                name = f"{getattr(thing, 'name', '')}.{field.name}"
                arrays[name] = value
                found[field.name] = {"array": name}
            else:
                found[field.name] = plain(value)
        return found

    return arrays, json.dumps(plain(program))


def from_arrays(arrays: Mapping[str, Array], text: str) -> Program:
    """The network of `to_arrays`.

    Raises:
        ValueError, KeyError or TypeError: the text is none of these, or does not fit the arrays.
    """

    def made(thing: Any) -> Any:
        if isinstance(thing, list):
            return tuple(made(part) for part in thing)
        if not isinstance(thing, dict):
            return thing
        if "array" in thing:
            return arrays[thing["array"]]
        return KINDS[thing["kind"]](**{name: made(value) for name, value in thing.items() if name != "kind"})

    program = made(parsed(text))
    if not isinstance(program, Program):
        raise ValueError("it is no quantized network")
    return program
