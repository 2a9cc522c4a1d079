"""Walks over the nodes of an ONNX graph and collects the layers that they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.interchange.arranging import arranged, as_image, as_vector, complete
from dslc.interchange.draft import Draft, Step
from dslc.interchange.onnx_file import OnnxGraph, OnnxInput, OnnxNode
from dslc.interchange.operators import (
    elementwise,
    functions,
    images,
    movement,
    normalization,
    products,
    traditional,
    windows,
)
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.operators.constants import folded
from dslc.interchange.settling import settled
from dslc.interchange.values import Affine, Constant, Flowing, Formula, Lacking, Left, Unknown, Value, in_order
from dslc.language.diagnostics import DataError
from dslc.numerics import np
from dslc.shape import Shape

PARTS = (elementwise, functions, images, movement, normalization, products, traditional, windows)
TRANSLATIONS: Mapping[str, Translation] = {kind: found for part in PARTS for kind, found in part.TRANSLATIONS.items()}
LEAVES_OUT = ("ArgMax", "ArgMin", "TopK", "ai.onnx.ml.ArrayFeatureExtractor")
"""What makes numbers of classes out of probabilities."""
LINES = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "BatchNormalization", "InstanceNormalization")
"""Operators for which a tensor of three axes has its channels first."""
MALFORMED = (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, KeyError, AttributeError)
"""What NumPy says where a node does not fit together."""


@dataclass(frozen=True)
class End:
    """An output: its name, our value, and the positions of the numbers of the ONNX tensor in that."""

    name: str
    value: Flowing


@dataclass(frozen=True)
class Translated:
    """A model as layers. `inputs` are flowing values by the names of the model, `names` the words that the spec has for
    them; `left` are outputs that are left out."""

    inputs: Mapping[str, Flowing]
    steps: tuple[Step, ...]
    ends: tuple[End, ...]
    left: tuple[str, ...]


def translated(graph: OnnxGraph) -> Translated:
    """The layers of a graph.

    Raises:
        DataError: the language lacks something of it; all nodes that it lacks are listed.
    """
    batch, draft = _batch(graph), Draft()
    values: dict[str, Value] = {name: Constant(array) for name, array in graph.constants.items()}
    inputs = {given.name: _begin(graph, given, draft) for given in graph.inputs}
    values |= inputs
    readers = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)
    problems = [line for node in graph.nodes for line in _walk(graph, node, draft, batch, values, readers)]
    ends: list[End] = []
    left = [name for name in graph.outputs if isinstance(values.get(name), Left | Constant)]
    for name in graph.outputs:
        if name not in values:
            problems.append(f"output {name}: no node makes it")
        elif name not in left and not isinstance(values[name], Unknown):
            try:
                ends.append(End(name, _end(draft, settled(draft, values[name]))))
            except Lacking as lacking:
                problems.append(f"output {name}: {lacking}")
    if problems:
        raise DataError("the language lacks what this model has:\n  " + "\n  ".join(dict.fromkeys(problems)))
    if not ends:
        raise DataError("the model has no output that layers compute")
    steps = draft.needed(tuple(end.value.source for end in ends))
    return Translated(inputs, tuple(steps), tuple(ends), tuple(left))


def _batch(graph: OnnxGraph) -> int:
    """The number of examples that the model takes; 1 where it is free."""
    if not graph.inputs:
        raise DataError("the model has no inputs")
    for given in graph.inputs:
        if not given.shape or not given.floating:
            raise DataError(f"the input {given.name} is no array of floating-point numbers (examples, ...)")
        if None in given.shape[1:]:
            raise DataError(f"the size of the input {given.name} is not fixed: {_shown(given.shape)}; --size says it")
    batches = {given.shape[0] for given in graph.inputs} - {None}
    if len(batches) > 1:
        raise DataError("the inputs of the model differ in the number of examples")
    return next(iter(batches), 1) or 1


def _begin(graph: OnnxGraph, given: OnnxInput, draft: Draft) -> Flowing:
    """An input as ours: with the channels last, unless the model turns it around by itself."""
    tensor: Shape = tuple(n or 1 for n in given.shape[1:])
    readers = [node for node in graph.nodes if given.name in node.inputs]
    if len(tensor) > 3:
        raise DataError(f"the input {given.name} has {len(tensor) + 1} axes: the language has vectors and images")
    if len(tensor) < 2:
        shape, index = tensor or (1,), np.arange(prod(tensor), dtype=np.int32).reshape(tensor)
    elif len(tensor) == 3 and all(n.kind == "Transpose" and n.attributes.get("perm") == [0, 3, 1, 2] for n in readers):
        shape, index = tensor, np.arange(prod(tensor), dtype=np.int32).reshape(tensor)
    elif len(tensor) == 3:
        shape = (*tensor[1:], tensor[0])
        index = in_order(shape)
    elif any(node.kind in LINES for node in readers):
        shape = (1, tensor[1], tensor[0])
        index = in_order(shape)[:, 0]
    else:
        shape, index = (*tensor, 1), np.arange(prod(tensor), dtype=np.int32).reshape(tensor)
    draft.shapes[given.name] = shape
    return Flowing(given.name, shape, index)


def _end(draft: Draft, value: Flowing) -> Flowing:
    """An output in an order that one expects: a vector as it is, an image with the channels last."""
    if value.index.ndim > 1:
        value = complete(draft, value)
        return value if value.last else as_image(draft, value)
    flat = as_vector(draft, value) if value.whole else value
    source = arranged(draft, flat, flat.index.ravel(), (flat.index.size,))
    return Flowing(source, (flat.index.size,), np.arange(flat.index.size, dtype=np.int32).reshape(value.index.shape))


# ------------------------------------------------------------------------------------------- one node


def _walk(
    graph: OnnxGraph, node: OnnxNode, draft: Draft, batch: int, values: dict[str, Value], readers: Counter[str]
) -> list[str]:
    """Translates a node; a line for each thing that the language lacks."""
    missing = [name for name in node.inputs if name and name not in values]
    if missing:
        values.update(dict.fromkeys(node.outputs, Unknown()))
        return [f"{node.name} ({node.kind}): its input {missing[0]} is not there"]
    inputs = tuple(values[name] if name else None for name in node.inputs)
    at = At(draft, node, inputs, graph.opset, batch)
    problems = []
    try:
        found = _translate(at)
    except (Lacking, *MALFORMED) as problem:
        problems = [f"{node.name} ({node.kind}) of {_input_shape(inputs, batch)}: {problem}"]
        found = (Unknown(),) * len(node.outputs)
    for name, value in zip(node.outputs, found, strict=False):
        values[name] = value
        if readers[name] > 1:
            _share(draft, value)
    for name in node.outputs[len(found) :]:
        values[name] = Unknown()
    return problems


def _translate(at: At) -> tuple[Value, ...]:
    if any(isinstance(v, Unknown) for v in at.inputs):
        return (Unknown(),) * len(at.node.outputs)
    if at.node.kind in LEAVES_OUT or any(isinstance(v, Left) for v in at.inputs):
        return (Left(),) * len(at.node.outputs)
    if at.node.kind in ("Shape", "Size"):
        return (_shape(at),)
    constant = folded(at)
    if constant is not None:
        return (constant,)
    translation = TRANSLATIONS.get(at.node.kind)
    if translation is None:
        raise Lacking("the language has nothing for this operator")
    found = translation(at)
    return found if isinstance(found, tuple) else (found,)


def _shape(at: At) -> Constant:
    value = at.value()
    shape = value.array.shape if isinstance(value, Constant) else (at.batch, *at.flowing().index.shape)
    if at.node.kind == "Size":
        return Constant(np.array(prod(shape), np.int64))
    return Constant(np.array(shape[at.whole("start", 0) : at.whole("end", len(shape))], np.int64))


def _share(draft: Draft, value: Value) -> None:
    """A value that several nodes read stays as it is."""
    if isinstance(value, Flowing):
        draft.shared.add(value.source)
    elif isinstance(value, Formula | Affine):
        draft.popular.add(value)


def _input_shape(inputs: tuple[Value | None, ...], batch: int) -> str:
    for value in inputs:
        base = value.base if isinstance(value, Formula | Affine) else value
        if isinstance(base, Flowing):
            return _shown((batch, *base.index.shape))
    return _shown(next((v.array.shape for v in inputs if isinstance(v, Constant)), ()))


def _shown(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if n is None else str(n) for n in shape) or "a number"
