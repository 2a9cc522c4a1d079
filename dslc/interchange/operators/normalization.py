"""Normalizations, and what goes along the channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from dslc.interchange.arranging import as_vector, complete
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.operators.elementwise import base_of
from dslc.interchange.operators.windows import global_pool
from dslc.interchange.settling import activated, affine, norm_of_pixels
from dslc.interchange.values import Flowing, Formula, Lacking, Value, of_ours, rows_along
from dslc.numerics import Array, np


def _by_channel(x: Flowing, array: Array) -> Array:
    """Numbers for the first axis after the batch, as they are for our channels."""
    if array.shape != (x.index.shape[0],):
        raise Lacking(f"it has numbers for {array.size} channels, and there are {x.index.shape[0]}")
    return of_ours(x, array.reshape(-1, *(1 for _ in x.index.shape[1:]))).astype(np.float32)


def _batchnorm(at: At) -> Flowing:
    if at.whole("training_mode", 0):
        raise Lacking("it is in training mode: export the model for prediction")
    x = complete(at.draft, at.flowing())
    roles = ("gamma", "beta", "mean", "var")
    given = {role: _by_channel(x, at.needed(i + 1)) for i, role in enumerate(roles)}
    step = at.emit("batchnorm", x, parameters=given, eps=at.real("epsilon", 1e-5))
    return Flowing(step.result, step.shape, x.index)


def group_norm(at: At, x: Flowing, groups: int, eps: float) -> Flowing | None:
    """The norm of groups of channels without gamma and beta, if the first axis of x goes over them; else None."""
    channels = x.shape[-1]
    if channels % groups or not x.whole or (len(x.shape) != 3 and groups == channels):
        return None
    owner = (x.index % channels // (channels // groups)).reshape(groups, -1)
    if not (owner == np.arange(groups)[:, None]).all():
        return None
    if groups == channels:
        step = at.emit("instancenorm", x, eps=eps)
    else:
        step = at.emit("groupnorm", x, groups=groups, eps=eps, affine=False)
    return Flowing(step.result, step.shape, x.index)


def _instancenorm(at: At) -> Flowing:
    x = complete(at.draft, at.flowing())
    gamma, beta = at.needed(1), at.needed(2)
    found = group_norm(at, x, x.index.shape[0], at.real("epsilon", 1e-5))
    if found is None:
        raise Lacking("its channels are not channels of an image, or groups of them")
    wide = (-1, *(1 for _ in x.index.shape[1:]))
    return affine(at.draft, found, gamma.reshape(wide), beta.reshape(wide))


def _groupnorm(at: At) -> Flowing:
    x, groups = complete(at.draft, at.flowing()), at.whole("num_groups")
    gamma, beta = at.needed(1), at.needed(2)
    apart = Flowing(x.source, x.shape, x.index.reshape(groups, -1))
    found = group_norm(at, apart, groups, at.real("epsilon", 1e-5))
    if found is None:
        raise Lacking("its groups are not channels of an image")
    each = x.index.shape[0] // len(gamma)  # before opset 21 they are given for each group
    wide = (-1, *(1 for _ in x.index.shape[1:]))
    whole = Flowing(found.source, found.shape, x.index)
    return affine(at.draft, whole, np.repeat(gamma, each).reshape(wide), np.repeat(beta, each).reshape(wide))


def _layernorm(at: At) -> Flowing:
    """Over all numbers, or over the channels of each pixel."""
    x = complete(at.draft, at.flowing())
    axis, eps = at.whole("axis", -1), at.real("epsilon", 1e-5)
    first = axis - 1 if axis > 0 else axis + x.index.ndim
    gamma = np.broadcast_to(at.needed(1), x.index.shape[first:])
    beta = np.broadcast_to(at.needed(2), x.index.shape[first:]) if at.given(2) else np.zeros_like(gamma)
    return layer_norm(at, x, first, gamma, beta, eps)


def layer_norm(at: At, x: Flowing, first: int, gamma: Array, beta: Array, eps: float) -> Flowing:
    """The norm over the axes of an index from `first` on."""
    if prod(x.index.shape[:first]) == 1:
        given = {role: _spread(x, array) for role, array in (("gamma", gamma), ("beta", beta))}
        step = at.emit("layernorm", x, parameters=given, eps=eps)
        return Flowing(step.result, step.shape, x.index)
    rows = rows_along(x, first) if first == x.index.ndim - 1 else None
    if rows is None or len(rows.channels) != x.shape[-1]:
        raise Lacking("it normalizes something else than an example or the channels of a pixel")
    weight = np.empty(len(gamma), np.float32)
    weight[rows.channels] = gamma
    return affine(at.draft, norm_of_pixels(at.draft, x, weight, eps, at.label(1)), np.array(1.0), beta)


def _spread(x: Flowing, array: Array) -> Array:
    ours = np.empty(prod(x.shape), np.float32)
    ours[x.index.ravel()] = np.broadcast_to(array, x.index.shape).ravel()
    return ours.reshape(x.shape)


def _along_channels(kind: str, latest: int) -> Translation:
    """A layer over the channels of each pixel. Before opset 13 an axis means all from there on."""

    def translation(at: At) -> Flowing:
        x = complete(at.draft, at.flowing())
        axis = at.whole("axis", -1 if at.opset >= latest else 1)
        place = axis - 1 if axis > 0 else axis + x.index.ndim
        rows = rows_along(x, place) if 0 <= place < x.index.ndim else None
        alone = at.opset >= latest or prod(x.index.shape[place:]) == x.index.shape[place]
        if rows is None or len(rows.channels) != x.shape[-1] or not alone:
            raise Lacking("it does not go over the channels of each pixel, or over a vector")
        return activated(at.draft, x, kind)

    return translation


def _lp_normalization(at: At) -> Flowing:
    x = complete(at.draft, at.flowing())
    axis = at.whole("axis", -1)
    rows = rows_along(x, axis - 1 if axis > 0 else axis + x.index.ndim)
    if at.whole("p", 2) != 2 or rows is None or len(rows.channels) != x.shape[-1]:
        raise Lacking("it is no Euclidean norm over the channels")
    return activated(at.draft, x, "l2_normalize")


def _reduced(kind: str) -> Callable[[At], Value]:
    def translation(at: At) -> Value:
        base, _ = base_of(at, at.value())
        rank = base.index.ndim + 1
        axes = at.listed("axes", 1)
        if axes is not None and len(axes) == 1 and (row := row_of(at, axes[0], at.node.kind)) is not None:
            return row
        if axes is None or any(a % rank == 0 for a in axes):
            raise Lacking("it goes over the batch too")
        return global_pool(at, kind, tuple(sorted(a % rank - 1 for a in axes)), bool(at.whole("keepdims", 1)))

    return translation


REDUCERS: Mapping[str, Callable[[Array], Array]] = {
    "ReduceL2": lambda x: np.sqrt((x**2).sum(axis=-1, keepdims=True)),
    "ReduceMax": lambda x: x.max(axis=-1, keepdims=True),
    "ReduceMean": lambda x: x.mean(axis=-1, keepdims=True),
    "ReduceSum": lambda x: x.sum(axis=-1, keepdims=True),
    "ReduceSumSquare": lambda x: (x**2).sum(axis=-1, keepdims=True),
}


def row_of(at: At, axis: int, kind: str) -> Formula | None:
    """A number for each row along an axis, as the beginning of a formula of rows; None where the rows are not those of
    pixels, or their axis does not stay."""
    value = at.value()
    base, inner = base_of(at, value)
    place = axis % (base.index.ndim + 1) - 1
    rows = rows_along(base, place) if place >= 0 else None
    if rows is None or len(rows.channels) != base.shape[-1] or not base.whole or not at.whole("keepdims", 1):
        return None
    operand = value if isinstance(value, Formula) else base
    if isinstance(operand, Formula) and operand.axis not in (None, place):
        return None
    reduce = REDUCERS[kind]
    return Formula(base, lambda x: reduce(inner(x) + np.zeros_like(x)), kind, (operand,), axis=place)


def _row(at: At) -> Value:
    """What only a formula of rows has."""
    axes = at.listed("axes", 1)
    row = row_of(at, axes[0], at.node.kind) if axes is not None and len(axes) == 1 else None
    if row is None:
        raise Lacking("it does not go over the channels of each pixel, or over a vector, and keep their axis")
    return row


def _maxout(at: At) -> Value:
    """The largest of pieces of channels, or of all pixels."""
    x, axes = at.flowing(), at.listed("axes", 1)
    if axes is not None and len(axes) == 1 and not at.whole("keepdims", 1):
        axis = axes[0] % (x.index.ndim + 1) - 1
        if x.index.ndim == 2:
            x = as_vector(at.draft, x)
        moved = np.moveaxis(x.index, axis, -1)
        pieces = moved.shape[-1]
        first = moved[..., 0]
        following = (moved == first[..., None] + np.arange(pieces)).all()
        if following and pieces > 1 and x.shape[-1] % pieces == 0 and (first % pieces == 0).all() and x.whole:
            step = at.emit("maxout", x, pieces=pieces)
            return Flowing(step.result, step.shape, (first // pieces).astype(np.int32))
    return _GLOBAL_MAX(at)


_GLOBAL_MAX = _reduced("global_maxpool")
TRANSLATIONS: Mapping[str, Translation] = {
    "BatchNormalization": _batchnorm,
    "GroupNormalization": _groupnorm,
    "InstanceNormalization": _instancenorm,
    "LayerNormalization": _layernorm,
    "LogSoftmax": _along_channels("log_softmax", 13),
    "LpNormalization": _lp_normalization,
    "ReduceL2": _row,
    "ReduceMax": _maxout,
    "ReduceMean": _reduced("global_avgpool"),
    "ReduceSum": _row,
    "ReduceSumSquare": _row,
    "Softmax": _along_channels("softmax", 13),
}
"""By the name of the operator."""
