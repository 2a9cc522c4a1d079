"""Arrays of the caller as the compiled network wants them: one dtype, dense, of the right shape, finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dslc.ir import Head, Network, Value
from dslc.language.diagnostics import DataError, ExampleError
from dslc.losses.pixel_cross_entropy import PixelCrossEntropy
from dslc.registry import name_of
from dslc.runtime.data.frames import is_missing
from dslc.runtime.data.given import as_array
from dslc.runtime.data.label_sequences import as_label_sequences
from dslc.runtime.data.lazy import portion_rows
from dslc.runtime.data.scaling import holds_images, scaled
from dslc.runtime.data.soft_labels import as_probabilities

Array = np.ndarray[Any, Any]
NO_LOSS = (
    "this network has no loss: it predicts only. The `train` of a spec gives it one, and a part has the loss of the "
    "output that it ends in"
)


def as_inputs(network: Network, x: Any, dtype: Any, keep_bytes: bool = False) -> list[Array]:
    """The network's inputs, in the order in which it declares them; several come as a dict or a tuple. `keep_bytes`:
    images of 8 bits stay as they are, for C to scale."""
    given = by_name(x, [value.name for value in network.inputs], "input")
    arrays = [as_input(value, array, dtype, keep_bytes) for value, array in zip(network.inputs, given, strict=True)]
    _same_count(arrays, "inputs")
    _require_whole_numbers(network, arrays)
    return arrays


def _require_whole_numbers(network: Network, arrays: list[Array]) -> None:
    """Raises DataError where an input that counts something holds what is no such number."""
    given = {value: array for value, array in zip(network.inputs, arrays, strict=True)}
    for value, reader, least, most in network.counts():
        array = given[value]
        bad = (array < least) | (array > most) | (array != np.floor(array))
        if bad.any():
            where = np.argwhere(bad)[0]
            wanted = f"{reader} wants whole numbers from {least} to {most}"
            at = f" at place {where[1]}" if array[0].size > 1 else ""
            raise ExampleError(f"input {value.name} is {array[tuple(where)]:g}{at} in {{}}: {wanted}", where[0])


def as_targets(network: Network, y: Any, count: int, dtype: Any) -> list[Array]:
    """The targets of all heads, in their order."""
    given = by_head(network, y)
    arrays = [as_target(head, array, dtype) for head, array in zip(network.heads, given, strict=True)]
    for head, array in zip(network.heads, arrays, strict=True):
        if len(array) != count:
            raise DataError(f"{head.name}: {count} examples in x, but {len(array)} targets in y")
    return arrays


def by_head(network: Network, y: Any) -> list[Any]:
    """What was given as targets for each head; records have a field for each. A head that is `train_only` learns those
    of the first unless it has its own.

    Raises:
        DataError: it is neither one array for one head, nor a dict or a tuple for all.
    """
    if isinstance(y, np.ndarray) and y.dtype.names is not None:
        y = {name: y[name] for name in y.dtype.names}
    names, answers = ([head.name for head in heads] for heads in (network.heads, network.answers))
    named = set(y) if isinstance(y, dict) else set()
    whole = len(answers) > 1 and isinstance(y, (tuple, list)) and len(y) == len(names)
    if len(names) == len(answers) or named >= set(names) or whole:
        return by_name(y, names, "target")
    own = named & set(names[len(answers) :])
    given = by_name({n: y[n] for n in named - own} if own else y, answers, "target")
    return [*given, *(y[name] if name in own else given[0] for name in names[len(answers) :])]


def require_labels(network: Network, targets: list[Array], weights: Array | None = None) -> None:
    """For data to learn from or to judge by: of nothing the mean loss would be 0, the best there can be.

    Raises:
        DataError: a head has no target that is there, of an example that counts.
    """
    for head, array in zip(network.heads, targets, strict=True):
        if head.loss is not None and head.loss.sequences:
            continue  # a row without labels is an example of blanks
        counted = array if weights is None else array[weights > 0]
        if counted.dtype.kind == "f" and np.isnan(counted).all():
            raise no_label(head, f"all {len(counted)}")


def no_label(head: Head, which: str) -> DataError:
    """The error of a head whose labels are all missing, with what marks them: NaN, or a label that its loss ignores."""
    ignored = getattr(head.loss, "ignore", None)
    marks = "NaN" if ignored is None else f"{ignored} or NaN"
    return DataError(f"target {head.name} has no label: {which} are missing ({marks})")


def by_name(given: Any, names: list[str], what: str) -> list[Any]:
    """What was given for each of these names: of several as a dict, or as a tuple in their order.

    Raises:
        DataError: it is neither.
    """
    if len(names) == 1:
        return [given[names[0]]] if isinstance(given, dict) and names[0] in given else [given]
    if isinstance(given, dict):
        if set(given) != set(names):
            raise DataError(f"expected a dict with the {what}s {', '.join(names)}: {_misfits(given, names)}")
        return [given[name] for name in names]
    if isinstance(given, (tuple, list)) and len(given) == len(names):
        return list(given)
    raise DataError(f"this network has {len(names)} {what}s: pass a dict with {', '.join(names)}")


def _misfits(given: Mapping[Any, Any], names: list[str]) -> str:
    lacking = ", ".join(name for name in names if name not in given)
    extra = ", ".join(str(name) for name in given if name not in names)
    return "; ".join([f"it lacks {lacking}"] * bool(lacking) + [f"leave out {extra}"] * bool(extra))


def as_numbers(given: Any, what: str) -> Array:
    """What was given as an array of numbers, what is missing as NaN.

    Raises:
        DataError: it holds something else, or is None; `what` names it.
    """
    if given is None:
        raise DataError(f"{what} is missing: it is None")
    array = as_array(given, what)
    if array.dtype == object:
        try:
            array = np.where([is_missing(cell) for cell in array.flat], np.nan, array.reshape(-1)).reshape(array.shape)
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            odd = next(cell for cell in array.flat if not _is_number(cell))
            raise DataError(f"{what} holds things that are not numbers, such as {odd!r:.40}") from None
        except OverflowError:
            raise DataError(f"{what} holds a whole number that is too large for float64") from None
    if array.dtype.kind in "US" and array.size:
        raise DataError(f"{what} holds text, such as {str(array.flat[0])!r:.40}; numbers are wanted")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} has the dtype {array.dtype}; numbers are wanted")
    return array


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    except OverflowError:
        return True
    return True


def as_input(value: Value, given: Any, dtype: Any, keep_bytes: bool = False) -> Array:
    """One input as (n, *shape). An image or a sequence may lack a last axis of one channel; for a vector images are
    flattened. Images of 8 or 16 bits are scaled, see `scaling`."""
    array = as_numbers(given, f"input {value.name}")
    _refuse_masked(given, f"input {value.name}", "fill it")
    shape = _fitting_shape(array, value)
    if shape is None:
        found = f"({', '.join(map(str, array.shape))})"
        expected = f"(n, {', '.join(map(str, value.shape))})"
        raise DataError(f"input {value.name}: expected the shape {expected}, found {found}")
    if len(array) == 0:
        raise DataError(f"input {value.name} holds no examples")
    if holds_images(array, value.shape):
        if keep_bytes and array.dtype == np.uint8:
            return np.ascontiguousarray(array.reshape(shape))
        return np.ascontiguousarray(scaled(array.reshape(shape), dtype))
    array = array.reshape(shape)
    converted = _cast(array, dtype)
    bad = _first_not_finite(converted)
    if bad is not None:
        raise ExampleError(f"input {value.name} {_what_is_not_finite(array[bad], dtype)} in {{}}", bad)
    return converted


def _what_is_not_finite(given: Array, dtype: Any) -> str:
    """What is wrong with an example that has no finite numbers in a precision."""
    return _too_large(given, dtype) if np.isfinite(given).all() else "is not finite (NaN or infinite)"


def _too_large(given: Array, dtype: Any) -> str:
    return f"has {np.nanmax(np.abs(given)):.3g}, which is too large for {np.dtype(dtype).name},"


def _cast(array: Array, dtype: Any) -> Array:
    """Numbers in a precision. What is too large for it becomes infinite, which is refused by its example."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def _first_not_finite(array: Array) -> int | None:
    """The first example with such a number; without a mask of the array's size."""
    each = portion_rows(array[0].size)
    for first in range(0, len(array), each):
        finite = np.isfinite(array[first : first + each])
        if not finite.all():
            return first + int(np.argwhere(~finite)[0][0])
    return None


def _fitting_shape(array: Array, value: Value) -> tuple[int, ...] | None:
    wanted, found = value.shape, tuple(array.shape[1:])
    if array.ndim == 0:
        return None
    same = found == wanted
    one_channel = len(wanted) > 1 and wanted[-1] == 1 and found in (wanted[:-1], (value.elements,))
    flat = len(wanted) == 1 and len(found) > 1 and int(np.prod(found)) == value.elements
    column = wanted == (1,) and found == ()
    return (len(array), *wanted) if same or one_channel or flat or column else None


def as_target(head: Head, given: Any, dtype: Any) -> Array:
    """Class numbers as int32, soft labels as (n, classes), other targets as (n, *shape). A masked number is a missing
    target, NaN."""
    array = as_numbers(given, f"target {head.name}")
    if head.loss is None:
        raise DataError(NO_LOSS)
    if head.loss.classes:
        _refuse_masked(given, f"target {head.name}", "a class cannot be missing")
        if not head.loss.numbered:
            return np.ascontiguousarray(as_probabilities(head, array), dtype=dtype)
        return _as_classes(head, array)
    if np.ma.is_masked(given):
        array = np.where(np.ma.getmaskarray(given), np.nan, array)
    if head.loss.sequences or head.loss.pixels:
        convert = as_label_sequences if head.loss.sequences else _as_labels_of_pixels
        return np.ascontiguousarray(convert(head, array), dtype=dtype)
    shape = head.value.shape
    if array.shape[1:] != shape and not (array.ndim == 1 and head.value.elements == 1):
        expected = f"(n, {', '.join(map(str, shape))})" + (" or (n,)" if head.value.elements == 1 else "")
        raise DataError(f"target {head.name}: expected the shape {expected}, found {array.shape}")
    array = array.reshape(len(array), *shape)
    converted = _cast(array, dtype)
    if np.isinf(converted).any():
        bad = np.argwhere(np.isinf(converted))[0][0]
        what = "is infinite" if np.isinf(array[bad]).any() else _too_large(array[bad], dtype)
        raise ExampleError(f"target {head.name} {what} in {{}}", bad)
    if head.loss.target_range is not None:
        least, most = head.loss.target_range
        if ((converted < least) | (converted > most)).any():
            wanted = f"targets from {least:g} to {most:g}" if np.isfinite(most) else f"targets of at least {least:g}"
            raise DataError(f"target {head.name}: {name_of(head.loss)} wants {wanted}")
    return converted


def _as_labels_of_pixels(head: Head, array: Array) -> Array:
    """Class numbers (n, height, width) with NaN for those to ignore."""
    assert isinstance(head.loss, PixelCrossEntropy)
    *shape, classes = head.value.shape
    if array.shape[1:] not in (tuple(shape), (*shape, 1)):
        expected = f"({', '.join(map(str, ('n', *shape)))}) with a class number for each {head.loss.place}"
        raise DataError(f"target {head.name}: expected the shape {expected}, found {array.shape}")
    labels = array.reshape(len(array), *shape)
    labels = np.where(labels == head.loss.ignore, np.nan, labels)
    bad = ~np.isnan(labels) & ((labels < 0) | (labels >= classes) | (labels != np.floor(labels)))
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        found = f"{labels[place]:g}; classes go from 0 to {classes - 1}, and {head.loss.ignore} is ignored"
        raise ExampleError(f"target {head.name}: {{}} has the class {found}", place[0])
    return labels


def _as_classes(head: Head, array: Array) -> Array:
    classes = head.value.shape[-1]
    if array.ndim == 2 and array.shape[1] == 1 and classes != 1:
        array = array[:, 0]
    if array.ndim == 2 and array.shape[1] == classes:
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()):
            raise DataError(
                f"target {head.name}: rows of {classes} columns must be one-hot; for probabilities the loss is "
                "cross_entropy(soft_labels=on)"
            )
        array = array.argmax(axis=1)
    if array.ndim != 1:
        expected = f"(n,) with class numbers or (n, {classes}) one-hot"
        raise DataError(f"target {head.name}: expected the shape {expected}, found {array.shape}")
    odd = ~np.isfinite(array) | (array != np.floor(array))
    if odd.any():
        bad = int(np.argmax(odd))
        found = "the class is missing" if np.isnan(array[bad]) else f"{array[bad]:g} is no class number"
        raise ExampleError(f"target {head.name}: {{}}: {found}; class numbers are whole numbers", bad)
    if len(array) and (array.min() < 0 or array.max() >= classes):
        bad = int(np.argmax((array < 0) | (array >= classes)))
        found = f"has the class {int(array[bad])}; classes go from 0 to {classes - 1}"
        raise ExampleError(f"target {head.name}: {{}} {found}", bad)
    return np.ascontiguousarray(array, dtype=np.int32)


def _refuse_masked(given: Any, what: str, hint: str) -> None:
    if np.ma.is_masked(given):
        where = np.argwhere(np.ma.getmaskarray(given))[0]
        raise ExampleError(f"{what} is masked in {{}}: {hint}", where[0])


def _same_count(arrays: list[Array], what: str) -> None:
    counts = {len(array) for array in arrays}
    if len(counts) > 1:
        raise DataError(f"the {what} have different numbers of examples: {', '.join(map(str, sorted(counts)))}")
