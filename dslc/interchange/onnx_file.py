"""Reads a file of ONNX, which may be damaged or hostile, into plain arrays and nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from dslc.export.onnx.model import onnx_package
from dslc.interchange.values import MOST
from dslc.language.diagnostics import DataError
from dslc.numerics import Array, np
from dslc.runtime.data.files import reported, require_file
from dslc.shape import Shape, show_shape

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


@dataclass(frozen=True)
class OnnxNode:
    """An operator: `kind` with its domain where that is not the standard one, the names of what it reads ("" where an
    input is left out) and of its results, and its attributes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxInput:
    """A value that a model is given. An axis whose size is not fixed has None."""

    name: str
    shape: tuple[int | None, ...]
    floating: bool


@dataclass(frozen=True)
class OnnxGraph:
    """A model: `constants` are its arrays by name, `nodes` in an order in which they can run, `outputs` names."""

    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]
    opset: int
    metadata: Mapping[str, str]


def read_onnx(path: Path) -> OnnxGraph:
    """The graph in a file; arrays may lie in files beside it.

    Raises:
        DataError: it cannot be read, is no ONNX or damaged, or its arrays lie outside of its folder.
        UsageError: the package onnx is not installed.
    """
    onnx = onnx_package()
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    with reported(path):
        require_file(path)
        content = path.read_bytes()
    try:
        model.ParseFromString(content)
        if len(model.functions):
            from onnx import inliner

            model = inliner.inline_local_functions(model)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise DataError(f"{path} is no ONNX model, or damaged: {error}") from None
    if not model.graph.node and not model.graph.output:
        raise DataError(f"{path} is no ONNX model: it has no nodes")
    return _graph(model, path)


def with_size(graph: OnnxGraph, size: Shape) -> OnnxGraph:
    """With inputs of this size, in the language's order, where the model leaves theirs free.

    Raises:
        DataError: it does not fit what is fixed of them.
    """
    inputs = tuple(given if None not in given.shape[1:] else _sized(given, size) for given in graph.inputs)
    return replace(graph, inputs=inputs)


def _sized(given: OnnxInput, size: Shape) -> OnnxInput:
    first = (size[-1], *size[:-1])
    for wanted in (first, size):
        fits = [known in (None, n) for known, n in zip(given.shape[1:], wanted, strict=False)]
        if len(wanted) == len(given.shape) - 1 and all(fits):
            return replace(given, shape=(given.shape[0], *wanted))
    shown = "x".join("?" if n is None else str(n) for n in given.shape)
    raise DataError(f"{show_shape(size)} does not fit the input {given.name}, which is {shown}")


def _graph(model: Any, path: Path) -> OnnxGraph:
    graph = model.graph
    if graph.sparse_initializer:
        raise DataError(
            f"{path}: the constant {graph.sparse_initializer[0].values.name} is sparse, which dslc cannot read"
        )
    constants = {tensor.name: array_of(tensor, path) for tensor in graph.initializer}
    return OnnxGraph(
        tuple(_input(value, path) for value in graph.input if value.name not in constants),
        tuple(value.name for value in graph.output),
        tuple(_node(node, i, path) for i, node in enumerate(graph.node)),
        constants,
        next((o.version for o in model.opset_import if o.domain in DOMAINS[:2]), 0),
        {prop.key: prop.value for prop in model.metadata_props},
    )


def _input(value: Any, path: Path) -> OnnxInput:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise DataError(f"{path}: the input {value.name} is no tensor of known shape")
    shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim)
    if prod(n or 1 for n in shape) > MOST:
        raise DataError(f"{path}: the input {value.name} has {prod(n or 1 for n in shape):,} numbers")
    return OnnxInput(value.name, shape, kind.elem_type in (1, 10, 11, 16))


def _node(node: Any, place: int, path: Path) -> OnnxNode:
    domain = "" if node.domain in DOMAINS[:2] else f"{node.domain}."
    name = node.name or f"{node.op_type}_{place}"
    attributes = {a.name: _attribute(a, name, path) for a in node.attribute}
    return OnnxNode(f"{domain}{node.op_type}", name, tuple(node.input), tuple(node.output), attributes)


def _attribute(attribute: Any, node: str, path: Path) -> Any:
    """Numbers, texts, lists of them, and arrays; None for a graph, which no operator here has."""
    from onnx import AttributeProto, helper

    if attribute.type == AttributeProto.TENSOR:
        return array_of(attribute.t, path)
    if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.UNDEFINED):
        return None
    try:
        value = helper.get_attribute_value(attribute)
    except ValueError as error:
        raise DataError(f"{path}: the attribute {attribute.name} of {node} is damaged: {error}") from None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if isinstance(value, list | tuple) or hasattr(value, "__len__") else value


# ------------------------------------------------------------------------------------------- arrays


def array_of(tensor: Any, path: Path) -> Array:
    """The numbers of a constant.

    Raises:
        DataError: there are not as many as its shape says, they are of no known type, or lie outside of the folder.
    """
    from onnx import TensorProto, numpy_helper

    shape = tuple(tensor.dims)
    if any(n < 0 for n in shape) or prod(shape) > MOST * 8:
        raise DataError(f"{path}: the constant {tensor.name} has the shape {shape}, which no file holds")
    try:
        if tensor.data_location == TensorProto.EXTERNAL:
            return _beside(tensor, shape, path)
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise DataError(f"{path}: the constant {tensor.name} is damaged: {error}") from None


def _beside(tensor: Any, shape: tuple[int, ...], path: Path) -> Array:
    """Numbers in another file, which must be in the folder of the model or below it."""
    from onnx import helper

    about = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.parent.resolve()
    other = (folder / about.get("location", "")).resolve()
    if not other.is_relative_to(folder) or other == folder:
        raise DataError(f"{path}: the constant {tensor.name} lies outside of the model's folder")
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    offset, bytes_ = int(about.get("offset", 0)), prod(shape) * kind.itemsize
    with reported(other):
        require_file(other)
        if offset < 0 or offset + bytes_ > other.stat().st_size:
            raise DataError(f"{path}: {other.name} is too short for the constant {tensor.name} {shape}")
        return np.fromfile(other, kind, prod(shape), offset=offset).reshape(shape)
