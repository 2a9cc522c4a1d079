"""What `dslc check` reports: a row a layer, and exact bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dslc.columns import Column
from dslc.ir import Network, Node
from dslc.planning.slicing import division
from dslc.registry import name_of
from dslc.shape import show_shape

if TYPE_CHECKING:
    from dslc.plan import Plan, Work


@dataclass(frozen=True)
class Row:
    """A layer: its output, the size formula with numbers, trained parameters, multiply-adds of one example forward,
    bytes of its output for one example."""

    name: str
    output: str
    formula: str
    parameters: int
    multiply_adds: int
    bytes: int


@dataclass(frozen=True)
class ColumnRow:
    """A column that an input declares: how, and how many of the input's numbers come from it; None where the training
    set is to tell its values."""

    input: str
    name: str
    declared: str
    numbers: int | None


@dataclass(frozen=True)
class Memory:
    """Bytes, exactly as they are allocated. `prediction` and `training` are whole arenas; `requested_gradients` come to
    the latter if `gradients()` is called: training itself does not store them, and `best_weights` if there is a dev
    set or early stopping. A mini-batch of `batch` examples is worked through in `slices` of up to `slice`; `mixing`:
    the layer for which it is not, though it is large. `recomputed`: the segments that the backward pass computes again
    for `memory`, as the first and the last layer; `kept_activations`: the bytes of activations if all were kept.
    """

    batch: int
    slices: int
    slice: int
    threads: int
    parameters: int
    prediction_activations: int
    prediction: int
    training_activations: int = 0
    gradients: int = 0
    state: int = 0
    training: int = 0
    requested_gradients: int = 0
    best_weights: int = 0
    recomputed: tuple[tuple[str, str], ...] = ()
    kept_activations: int = 0
    mixing: str = ""


@dataclass(frozen=True)
class Summary:
    """All of a network that can be known before it runs."""

    net: str
    precision: str
    inputs: tuple[tuple[str, str], ...]
    columns: tuple[ColumnRow, ...]
    rows: tuple[Row, ...]
    parameters: int
    multiply_adds: int
    training_step: Work | None
    memory: Memory
    regularized: tuple[tuple[str, tuple[str, ...]], ...]
    frozen: tuple[str, ...]


def summarize(network: Network, plan: Plan) -> Summary:
    """The report on a network; `plan` knows the memory."""
    rows = tuple(_row(node, plan.itemsize) for node in network.nodes)
    return Summary(
        net=network.name,
        precision=network.precision,
        inputs=tuple((value.name, show_shape(value.shape)) for value in network.inputs),
        columns=tuple(_column(table.input, column) for table in network.tables for column in table.columns),
        rows=rows,
        parameters=sum(row.parameters for row in rows),
        multiply_adds=sum(row.multiply_adds for row in rows),
        training_step=plan.work,
        memory=_memory(plan),
        regularized=_regularized(network),
        frozen=tuple(p.name for p in network.parameters if p.frozen),
    )


def _column(input_name: str, column: Column) -> ColumnRow:
    numbers = None if column.kind.open else column.kind.width
    return ColumnRow(input_name, column.name, column.declared, numbers)


def _row(node: Node, itemsize: int) -> Row:
    return Row(
        name=node.name,
        output=show_shape(node.output.shape),
        formula=node.layer.formula(node.input_shapes),
        parameters=sum(p.elements for p in node.parameters if p.trained),
        multiply_adds=node.layer.multiply_adds(node.input_shapes),
        bytes=node.output.elements * itemsize,
    )


def _memory(plan: Plan) -> Memory:
    common: dict[str, Any] = {
        "batch": plan.step_batch,
        "slices": -(-plan.step_batch // plan.batch),
        "slice": plan.batch,
        "threads": plan.threads,
        "parameters": plan.bytes("parameters"),
        "prediction_activations": plan.bytes("prediction"),
        "prediction": plan.arena_bytes(False),
    }
    if plan.graph.train is None:
        return Memory(**common)
    again = plan.recomputation
    return Memory(
        **common,
        training_activations=plan.bytes("activations"),
        gradients=plan.bytes("gradients"),
        state=plan.bytes("state"),
        training=plan.arena_bytes(True),
        requested_gradients=plan.bytes("requested_gradients"),
        best_weights=plan.weights_bytes,
        recomputed=again.segments if again else (),
        kept_activations=again.activations if again else plan.bytes("activations"),
        mixing=division(plan.graph.network).mixing,
    )


def _regularized(network: Network) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each regularizer and the tensors that it touches."""
    touched: dict[str, list[str]] = {}
    for p in network.parameters:
        for regularizer in (*p.regularizers, *p.constraints):
            name = f"{name_of(regularizer)}({regularizer.strength:g})"
            touched.setdefault(name, []).append(p.name)
    return tuple((name, tuple(tensors)) for name, tensors in touched.items())
