"""Formulas and factors become layers: what was only remembered is emitted once a layer needs its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dslc.interchange.arranging import arranged, as_image, as_vector, channels_last, complete, mixed
from dslc.interchange.draft import Draft, Step
from dslc.interchange.formulas import recognized
from dslc.interchange.rows import recognized_row
from dslc.interchange.values import Affine, Constant, Flowing, Formula, Lacking, Value, of_ours
from dslc.numerics import Array, np

BINARY = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Max": "maximum", "Min": "minimum"}
"""The layers that operators of two values are."""
ABSORBING = ("dense", "conv", "depthwise", "conv_transpose", "groupnorm", "instancenorm", "batchnorm", "layernorm",
             "rmsnorm")  # fmt: skip
"""Layers with factors and summands of their own."""
REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare")
ABSORBING = ("dense", "conv", "depthwise", "conv_transpose", "groupnorm", "instancenorm", "batchnorm", "layernorm",
             "rmsnorm")  # fmt: skip
"""Layers with factors and summands of their own."""
REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare")
UNARY = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softplus": "softplus", "Relu6": "relu6",
         "HardSigmoid": "hard_sigmoid", "Softsign": "softsign", "Elu": "elu"}  # fmt: skip


def settled(draft: Draft, value: Value) -> Flowing:
    """A value as one that flows, with all its layers emitted.

    Raises:
        Lacking: it is none, or a formula that the language has no layers for.
    """
    if isinstance(value, Flowing):
        return value
    if value not in draft.known:
        if isinstance(value, Formula):
            draft.known[value] = _formula(draft, value)
        elif isinstance(value, Affine):
            draft.known[value] = affine(draft, value.base, value.factor, value.shift)
        else:
            raise Lacking("it reads a constant where a layer has a value" if isinstance(value, Constant) else
                          "it reads numbers that no layer computes")  # fmt: skip
        if value in draft.popular:
            draft.shared.add(draft.known[value].source)
    return draft.known[value]


def _formula(draft: Draft, value: Formula) -> Flowing:
    if value.axis is not None:
        return _row_formula(draft, value)
    found = recognized(value.function)
    if found is None:
        return _by_parts(draft, value)
    base = complete(draft, value.base)
    if found.mirrored:
        base = affine(draft, base, np.array(-1.0), np.array(0.0))
    if found.activation:
        base = activated(draft, base, found.activation, **found.arguments)
    return affine(draft, base, np.array(found.factor), np.array(found.shift))


def _row_formula(draft: Draft, value: Formula) -> Flowing:
    """A formula of the channels of each pixel, or of a vector."""
    base, channels = value.base, value.base.shape[-1]
    found = recognized_row(value.function, channels)
    if found is None:
        return _by_parts(draft, value)
    if found.kind == "rmsnorm":
        step = draft.emit("rmsnorm", (base.source,), {"weight": np.ones(channels, np.float32)}, eps=found.eps)
    elif found.kind == "layernorm" and len(base.shape) == 1:
        given = {"gamma": np.ones(channels, np.float32), "beta": np.zeros(channels, np.float32)}
        step = draft.emit("layernorm", (base.source,), given, eps=found.eps)
    elif found.kind == "layernorm":
        return norm_of_pixels(draft, base, np.ones(channels, np.float32), found.eps or 0.0, "")
    else:
        eps: dict[str, Any] = {} if found.eps is None else {"eps": found.eps}
        step = draft.emit(found.kind, (base.source,), **eps)
    return Flowing(step.result, step.shape, base.index)


def norm_of_pixels(draft: Draft, x: Flowing, weight: Array, eps: float, label: str) -> Flowing:
    """weight * (x - mean) / sqrt(variance + eps) of the channels of each pixel: the mean by a frozen filter, and
    `rmsnorm`."""
    channels = x.shape[-1]
    center = mixed(draft, x.source, np.full((channels, 1), 1 / channels, np.float32))
    away = draft.emit("subtract", (x.source, center.result))
    step = draft.emit("rmsnorm", (away.result,), {"weight": weight}, label, eps=eps)
    return Flowing(step.result, step.shape, x.index)


def _reduced_channels(draft: Draft, kind: str, x: Flowing, axis: int) -> Flowing:
    """The mean, sum or maximum of the channels of each pixel, as a channel of its own."""
    channels = x.shape[-1]
    if kind == "ReduceMax":
        step = draft.emit("maxout", (x.source,), pieces=channels)
    elif kind in ("ReduceMean", "ReduceSum"):
        each = 1 / channels if kind == "ReduceMean" else 1.0
        step = mixed(draft, x.source, np.full((channels, 1), each, np.float32))
    else:
        raise Lacking("the language has no such function of channels")
    return Flowing(step.result, step.shape, (x.index // channels).min(axis=axis, keepdims=True))


def activated(draft: Draft, base: Flowing, kind: str, **arguments: Any) -> Flowing:
    """A layer of each number by itself: the numbers stay where they are."""
    step = draft.emit(kind, (base.source,), **arguments)
    return Flowing(step.result, step.shape, base.index)


def _by_parts(draft: Draft, value: Formula) -> Flowing:
    """The last step of a formula on what its operands are by themselves."""
    if value.kind in REDUCTIONS and value.axis is not None and not isinstance(value.operands[0], float):
        return _reduced_channels(draft, value.kind, complete(draft, settled(draft, value.operands[0])), value.axis)
    numbers = [operand for operand in value.operands if isinstance(operand, float)]
    parts = [settled(draft, operand) for operand in value.operands if not isinstance(operand, float)]
    if value.kind in BINARY and len(parts) == 2:
        return combined(draft, BINARY[value.kind], parts[0], parts[1])
    if value.outer is not None and parts[0] is not value.base and value.axis is None:
        operands = tuple(o if isinstance(o, float) else parts[0] for o in value.operands)
        return settled(draft, Formula(parts[0], value.outer, value.kind, operands, value.outer))
    if value.kind in ("Max", "Min") and numbers and parts:
        return _limited(draft, value.kind, parts[0], numbers[0])
    if value.kind == "Pow" and numbers == [2.0]:
        return combined(draft, "multiply", parts[0], parts[0])
    raise Lacking("the language has no such function")


def _limited(draft: Draft, kind: str, x: Flowing, limit: float) -> Flowing:
    """max(x, c) = relu(x - c) + c, and min(x, c) = c - relu(c - x)."""
    sign = 1.0 if kind == "Max" else -1.0
    moved = affine(draft, x, np.array(sign), np.array(-sign * limit))
    return affine(draft, activated(draft, complete(draft, moved), "relu"), np.array(sign), np.array(limit))


# ------------------------------------------------------------------------------------------- factors and shifts


def affine(draft: Draft, base: Flowing, factor: Array, shift: Array) -> Flowing:
    """base * factor + shift, of ONNX's shape: in the layer before where that has weights of its own, else `standardize`
    directly behind an input, `scale`, or a frozen batch norm."""
    if (factor == 1).all() and (shift == 0).all():
        return base
    base = complete(draft, base)
    by, plus = of_ours(base, factor), of_ours(base, shift)
    step = draft.alone(base.source, *ABSORBING)
    changed = None if step is None or step.frozen else _inside(draft, step, by, plus)
    if changed is None:
        changed = _behind(draft, base, by, plus)
    return Flowing(changed.result, changed.shape, base.index)


def _inside(draft: Draft, step: Step, by: Array, plus: Array) -> Step | None:
    """The layer before with other weights; None where that is not possible."""
    if step.kind == "rmsnorm":
        return draft.again(step, {"weight": _single(step.parameters["weight"] * by)}) if (plus == 0).all() else None
    if step.kind == "layernorm" and len(step.shape) > 1:
        return None
    if step.kind not in ("dense", "conv", "depthwise", "conv_transpose"):
        gamma = step.parameters.get("gamma", np.ones(len(by), np.float32))
        beta = step.parameters.get("beta", np.zeros(len(by), np.float32))
        more = {"gamma": _single(gamma * by), "beta": _single(beta * by + plus)}
        return draft.again(step, more, **({"affine": True} if step.kind in ("groupnorm", "instancenorm") else {}))
    weight, bias = step.parameters["weight"], step.parameters.get("bias", 0)
    if step.kind == "dense" or (step.kind == "conv_transpose" and step.arguments.get("groups", 1) == 1):
        wide = by[:, None]
    elif step.kind == "conv_transpose":
        return None
    else:
        wide = by
    return draft.again(step, {"weight": _single(weight * wide), "bias": _single(bias * by + plus)}, bias=True)


def _behind(draft: Draft, base: Flowing, by: Array, plus: Array) -> Step:
    source = base.source
    if source not in draft.steps and (by != 0).all():
        given = {"mean": _single(-plus / by), "std": _single(1 / by)}
        return draft.emit("standardize", (source,), given)
    if (plus == 0).all():
        return draft.emit("scale", (source,), {"factor": _single(by)})
    eps = 1e-5
    given = {
        "gamma": _single(by), "beta": _single(plus), "mean": np.zeros(len(by), np.float32),
        "var": np.full(len(by), 1 - eps, np.float32),
    }  # fmt: skip
    return draft.emit("batchnorm", (source,), given, frozen=True)


def _single(array: Array) -> Array:
    return np.asarray(array, np.float32)


# ------------------------------------------------------------------------------------------- values joined


def combined(draft: Draft, kind: str, a: Flowing, b: Flowing) -> Flowing:
    """A layer of two values, number by number, broadcast as ONNX does."""
    if a.shape == b.shape and np.array_equal(a.index, b.index):
        a, b = (complete(draft, a), complete(draft, b)) if not a.whole else (a, b)
        step = draft.emit(kind, (a.source, b.source))
        return Flowing(step.result, step.shape, a.index)
    a, b = _narrow(a), _narrow(b)
    if a.index.ndim != b.index.ndim:
        raise Lacking("its inputs have different numbers of axes")
    shape = np.broadcast_shapes(a.index.shape, b.index.shape)
    if len(shape) == 1:
        x, y = (_vector_in_order(draft, v) for v in (a, b))
        step = draft.emit(kind, (x.source, y.source))
        return Flowing(step.result, step.shape, np.arange(shape[0], dtype=np.int32))
    if len(shape) == 3 and any(v.whole and v.last and not _first(v) for v in (a, b)):
        x, y = (channels_last(draft, v) for v in (a, b))
        step = draft.emit(kind, (x.source, y.source))
        return Flowing(step.result, step.shape, np.arange(step_size(step), dtype=np.int32).reshape(shape))
    x, y = as_image(draft, a), as_image(draft, b)
    step = draft.emit(kind, (x.source, y.source))
    full = Flowing(step.result, step.shape, np.arange(step_size(step), dtype=np.int32).reshape(step.shape))
    return replace(full, index=np.moveaxis(full.index, -1, 0).reshape(shape))


def step_size(step: Step) -> int:
    """Numbers in a layer's result."""
    return int(np.prod(step.shape))


def _narrow(value: Flowing) -> Flowing:
    """Without the copies along axes that were expanded."""
    index = value.index
    for axis, (size, stride) in enumerate(zip(index.shape, index.strides, strict=True)):
        if size > 1 and stride == 0:
            index = index.take([0], axis=axis)
    return replace(value, index=index)


def _first(value: Flowing) -> bool:
    return value.index.ndim == 3 and bool(
        np.array_equal(np.moveaxis(value.index, 0, -1).ravel(), np.arange(value.index.size))
    )


def _vector_in_order(draft: Draft, value: Flowing) -> Flowing:
    flat = as_vector(draft, value) if value.whole else value
    source = arranged(draft, flat, flat.index, flat.index.shape)
    return Flowing(source, flat.index.shape, np.arange(flat.index.size, dtype=np.int32))
