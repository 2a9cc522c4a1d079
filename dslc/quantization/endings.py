"""The layers behind the integers of a head, in float: softmax and the like, in NumPy and in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dslc.export.network import Trained
from dslc.ir import Node
from dslc.language.diagnostics import CallError
from dslc.layers import Mode
from dslc.numerics import Array, np
from dslc.operation import identifier
from dslc.quantization.constants import Constant, constant
from dslc.quantization.program import Ending, Program
from dslc.registry import name_of


@dataclass(frozen=True)
class Ended:
    """A head in C: how its bytes become numbers, and the `lines` of the layers behind, which work on y."""

    name: str
    elements: int
    zero: int
    scale: str
    layers: str
    lines: tuple[str, ...]
    constants: tuple[Constant, ...]
    uses_math: bool


def finish(program: Program, trained: Trained, ending: Ending, q: Array) -> Array:
    """The numbers of a head, float32 (n, *shape), from its bytes."""
    y = program.tensor(ending.tensor).encoding.decode(q)
    for node in _nodes(trained, ending):
        own = {role: np.asarray(trained.parameters[p.name], np.float32) for role, p in node.roles.items()}
        y = node.layer.reference((y.reshape(len(y), *node.inputs[0].shape),), own, Mode(False)).y
    return y.astype(np.float32, copy=False)


def ending_in_c(program: Program, trained: Trained, ending: Ending) -> Ended:
    """A head as C.

    Raises:
        CallError: a layer has no form in C here.
    """
    tensor, nodes = program.tensor(ending.tensor), _nodes(trained, ending)
    lines: list[str] = []
    constants: list[Constant] = []
    for node in nodes:
        kind = name_of(node.layer).strip("_")
        if kind not in _LINES:
            raise CallError(f"{node.name} ({kind}) behind the integers has no form in exported C")
        lines += _LINES[kind](node, tensor.elements)
        for role, p in node.roles.items():
            constants.append(
                constant(f"{identifier(node.name)}_{role}", np.asarray(trained.parameters[p.name], np.float32))
            )
    scale = f"{float(np.float32(tensor.encoding.scale))!r}f"
    told, uses_math = ", ".join(n.name for n in nodes), any("expf" in x or "tanhf" in x or "logf" in x for x in lines)
    return Ended(
        identifier(ending.head), tensor.elements, tensor.encoding.zero, scale, told, tuple(lines), tuple(constants),
        uses_math,
    )  # fmt: skip


def _nodes(trained: Trained, ending: Ending) -> list[Node]:
    return [next(n for n in trained.network.nodes if n.name == name) for name in ending.layers]


def _softmax(node: Node, elements: int) -> list[str]:
    return _rows(node, elements, ["row[c] = expf(row[c] - largest);", "sum += row[c];"], ["row[c] /= sum;"])


def _log_softmax(node: Node, elements: int) -> list[str]:
    return _rows(node, elements, ["row[c] -= largest;", "sum += expf(row[c]);"], ["row[c] -= logf(sum);"])


def _rows(node: Node, elements: int, first: list[str], second: list[str]) -> list[str]:
    """Over the channels of each row: two passes behind the one that finds the largest number."""
    channels = node.inputs[0].shape[-1]
    return [
        f"for (int i = 0; i < n * {elements // channels}; ++i) {{",
        f"    float *row = y + i * {channels}, largest = row[0], sum = 0.0f;",
        f"    for (int c = 1; c < {channels}; ++c)",
        "        largest = row[c] > largest ? row[c] : largest;",
        f"    for (int c = 0; c < {channels}; ++c) {{",
        *(f"        {line}" for line in first),
        "    }",
        f"    for (int c = 0; c < {channels}; ++c)",
        *(f"        {line}" for line in second),
        "}",
    ]


def _each(formula: str) -> Callable[[Node, int], list[str]]:
    def lines(node: Node, elements: int) -> list[str]:
        return [f"for (int i = 0; i < n * {elements}; ++i)", f"    y[i] = {formula};"]

    return lines


def _target_unit(node: Node, elements: int) -> list[str]:
    channels, name = node.inputs[0].shape[-1], identifier(node.name)
    at = f"i % {channels}" if channels > 1 else "0"
    return [f"for (int i = 0; i < n * {elements}; ++i)", f"    y[i] = y[i] * {name}_std[{at}] + {name}_mean[{at}];"]


_LINES: Mapping[str, Callable[[Node, int], list[str]]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": _each("1.0f / (1.0f + expf(-y[i]))"),
    "tanh": _each("tanhf(y[i])"),
    "target_unit": _target_unit,
}
