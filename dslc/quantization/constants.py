"""Arrays of C with the numbers of a quantized network."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.codegen.text import wrapped
from dslc.numerics import Array, np

TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Constant:
    """An array of C with its numbers in lines."""

    name: str
    type: str
    count: int
    lines: tuple[str, ...]
    comment: str = ""


def constant(name: str, array: Array, comment: str = "") -> Constant:
    """An array of C."""
    kind = array.dtype.name
    text = ", ".join(_number(value, kind) for value in array.reshape(-1).tolist())
    return Constant(name, TYPES[kind], int(array.size), tuple(line.rstrip(",") for line in wrapped(text, 112)), comment)


def _number(value: float, kind: str) -> str:
    if kind == "float32":
        return f"{float(np.float32(value))!r}f"
    return repr(value)
