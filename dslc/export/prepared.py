"""What a prediction reads that depends on parameters alone: prepacking, computed by NumPy with the target's rounding.

Every function takes arrays in the shapes of the language, before they are packed into blocks, and returns them so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dslc.bf16 import pairs
from dslc.export.arithmetic import Arithmetic
from dslc.export.contraction import transformed
from dslc.export.prediction import Prediction
from dslc.kernels import detail
from dslc.kernels._winograd import FiltersDetail, sizes
from dslc.kernels.transform import Transform
from dslc.layers._fake_quantize import fake_quantized_weight
from dslc.layers.batchnorm import BatchNormDetail
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.lowering.details import UnitsDetail
from dslc.numerics import Array, np
from dslc.operation import Operation, identifier

Arrays = tuple[Array, ...]
Preparation = Callable[[Operation, Arrays, Arithmetic], Arrays]


def constants_image(prediction: Prediction, parameters: Mapping[str, Array], arithmetic: Arithmetic) -> Array:
    """All constants of a prediction as the target reads them, flat: what its C finds behind `weights`.

    parameters: arrays by the names and in the shapes of the language.

    Raises:
        KeyError: a parameter is missing.
    """
    arrays: dict[str, Array] = {
        identifier(name): np.asarray(array, arithmetic.dtype) for name, array in parameters.items()
    }
    for kernel in prediction.prepack:
        op = kernel.operation
        made = PREPARATIONS[op.kind](op, tuple(arrays[t.name] for t in op.reads), arithmetic)
        arrays.update({t.name: array for t, array in zip(op.writes, made, strict=True)})
    image: Array = np.zeros(prediction.plan.region("constants").elements, arithmetic.dtype)
    for name, buffer in prediction.constants.items():
        stored = _stored(arrays[name], buffer.layout)
        image[buffer.offset : buffer.offset + stored.size] = stored
    return image


def _stored(array: Array, layout: Layout) -> Array:
    """The array as it lies in memory. Transformed filters may have room for more channels than there are."""
    if array.size != np.prod(layout.shape):
        array = np.pad(array, [(0, room - size) for room, size in zip(layout.shape, array.shape, strict=True)])
    return layout.pack(array.reshape(layout.shape))


def _fold_batchnorm(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """W' = W gamma / sqrt(var + eps), b' = beta + (b - mean) gamma / sqrt(var + eps). Units come first in dense
    weights, filters last in those of convolutions."""
    w, mean, var, gamma, beta, *bias = arrays
    factor = gamma / np.sqrt(var + arithmetic.number(detail(op, BatchNormDetail).eps))
    centered = (bias[0] if bias else arithmetic.number(0)) - mean
    folded = w * (factor[:, None] if w.ndim == 2 else factor)
    return folded, arithmetic.multiply_add(centered, factor, beta)


def _fake_quantize_weight(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """The weights of each unit to whole multiples of its largest absolute value / 127."""
    del arithmetic
    return (fake_quantized_weight(arrays[0], detail(op, UnitsDetail).units),)


def _winograd_filters(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """G g G^T of every channel and filter: (rows, columns, channels, filters) becomes (elements, channels, filters)."""
    (filters,) = arrays
    matrix = Transform(*sizes(detail(op, FiltersDetail).choice), "filter").matrix
    half = transformed(matrix, list(filters), arithmetic)
    whole = transformed(matrix, [np.stack([row[j] for row in half]) for j in range(filters.shape[1])], arithmetic)
    return (np.stack(whole, axis=1).reshape(-1, *filters.shape[2:]),)


def _pack_filters(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """The same numbers in another layout."""
    del op, arithmetic
    return arrays


def _widen_filters(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """Grouped filters (rows, columns, channels of a group, filters) over all channels, zero for those of others."""
    del arithmetic
    (narrow,), d = arrays, detail(op, ConvDetail)
    channels, filters = d.input[2] // d.groups, d.output[2] // d.groups
    wide = np.zeros((*narrow.shape[:-2], d.input[2], d.output[2]), narrow.dtype)
    for group in range(d.groups):
        own = slice(group * filters, (group + 1) * filters)
        wide[..., group * channels : (group + 1) * channels, own] = narrow[..., own]
    return (wide,)


def _rotate_filters(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """Filters (rows, columns, channels of a group, filters) of the input gradient, which a transposed convolution is:
    turned by half a turn, (rows, columns, filters of a group, channels)."""
    del arithmetic
    (filters,), groups = arrays, detail(op, ConvDetail).groups
    turned = filters[::-1, ::-1]
    parts = np.split(turned, groups, axis=3)
    return (np.concatenate([part.swapaxes(2, 3) for part in parts], axis=3),)


def _turn(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """The weights (units, inputs) of a tied layer, from those of its owner (inputs, units)."""
    del op, arithmetic
    return (arrays[0].T,)


def _bf16_panels(op: Operation, arrays: Arrays, arithmetic: Arithmetic) -> Arrays:
    """Weights (units, inputs) in pairs of inputs; the last of an odd number is paired with zeros."""
    del op, arithmetic
    (w,) = arrays
    even = np.pad(w, [(0, 0), (0, w.shape[1] % 2)])
    return (pairs(even[:, ::2], even[:, 1::2]),)


PREPARATIONS: Mapping[str, Preparation] = {
    "bf16_panels": _bf16_panels,
    "fake_quantize_weight": _fake_quantize_weight,
    "fold_batchnorm": _fold_batchnorm,
    "winograd_filters": _winograd_filters,
    "pack_filters": _pack_filters,
    "widen_filters": _widen_filters,
    "rotate_filters": _rotate_filters,
    "turn": _turn,
}
"""By the kind of the operation."""
