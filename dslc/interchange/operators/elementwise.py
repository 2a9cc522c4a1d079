"""Sums, products, ... of two values, or of a value and numbers: as formulas where both are made of one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dslc.interchange.arranging import complete
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.settling import combined, settled
from dslc.interchange.values import Affine, Constant, Flowing, Formula, Lacking, Value, of_ours
from dslc.numerics import Array, np

Function = Callable[[Array], Array]


def base_of(at: At, value: Value) -> tuple[Flowing, Function]:
    """A value as a function of one that flows."""
    if isinstance(value, Formula):
        return value.base, value.function
    return settled(at.draft, value), lambda x: x


def of_one(at: At, value: Value, kind: str, function: Function) -> Formula:
    """A function of each number of a value."""
    operand = value if isinstance(value, Formula) else settled(at.draft, value)
    base, inner = base_of(at, operand)
    return Formula(base, lambda x: function(inner(x)), kind, (operand,), function, axis_of(operand))


def with_number(at: At, kind: str, value: Value, number: float, number_first: bool = False) -> Value:
    """A value and a number."""
    if isinstance(value, Affine) and not number_first and kind in ("Add", "Sub", "Mul", "Div"):
        return _with_array(at, kind, value, np.array(number))
    operand = value if isinstance(value, Formula) else settled(at.draft, value)
    base, inner = base_of(at, operand)
    join = JOINS[kind]
    axis = axis_of(operand)
    if number_first:
        first = (number, operand)
        return Formula(base, lambda x: join(number, inner(x)), kind, first, lambda x: join(number, x), axis)
    return Formula(base, lambda x: join(inner(x), number), kind, (operand, number), lambda x: join(x, number), axis)


def axis_of(value: Value) -> int | None:
    """The axis of a formula of rows."""
    return value.axis if isinstance(value, Formula) else None


JOINS: Mapping[str, Callable[..., Array]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Max": np.maximum, "Min": np.minimum,
    "Pow": np.power,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}  # fmt: skip


def _binary(kind: str) -> Translation:
    def translation(at: At) -> Value:
        a, b = at.value(0), at.value(1)
        for other, constant, swapped in ((a, b, False), (b, a, True)):
            if isinstance(constant, Constant) and not isinstance(other, Constant):
                return with_constant(at, kind, other, constant.array, swapped)
        return of_two(at, kind, a, b)

    return translation


def with_constant(at: At, kind: str, value: Value, array: Array, swapped: bool) -> Value:
    """A value and numbers; `swapped`: the numbers come first."""
    if array.size == 1:
        return with_number(at, kind, value, float(array.ravel()[0]), swapped)
    if array.size and (array == array.ravel()[0]).all() and array.ndim <= _rank(at, value):
        return with_number(at, kind, value, float(array.ravel()[0]), swapped)
    if kind == "Sub" and swapped:
        return _with_array(at, "Add", _with_array(at, "Mul", value, np.array(-1.0)), array)
    if kind in ("Add", "Sub", "Mul") or (kind == "Div" and not swapped):
        return _with_array(at, kind, value, array)
    raise Lacking("it joins a value with an array of numbers: the language has factors and summands")


def _rank(at: At, value: Value) -> int:
    base = value.base if isinstance(value, Formula | Affine) else settled(at.draft, value)
    return base.index.ndim + 1


def _with_array(at: At, kind: str, value: Value, array: Array) -> Value:
    """x * factor + shift, collected until a layer reads it."""
    before = value if isinstance(value, Affine) else None
    base = before.base if before else settled(at.draft, value)
    factor, shift = (before.factor, before.shift) if before else (np.array(1.0), np.array(0.0))
    number = np.asarray(array, np.float64)
    if number.ndim == base.index.ndim + 1:
        if number.shape[0] != 1:
            raise Lacking("its numbers differ from example to example")
        number = number[0]
    if number.ndim > base.index.ndim or np.broadcast_shapes(number.shape, base.index.shape) != base.index.shape:
        raise Lacking(f"it joins {base.index.shape} with numbers of the shape {array.shape}")
    if kind in ("Add", "Sub"):
        found = Affine(base, factor, shift + (number if kind == "Add" else -number))
    else:
        by = number if kind == "Mul" else 1 / number
        found = Affine(base, factor * by, shift * by)
    of_ours(complete(at.draft, base), found.factor)  # says here if the numbers differ from pixel to pixel
    of_ours(complete(at.draft, base), found.shift)
    return found


def of_two(at: At, kind: str, a: Value, b: Value) -> Value:
    """Two values: a formula where both are made of the same one, else a layer."""
    x, y = (v if isinstance(v, Formula) else settled(at.draft, v) for v in (a, b))
    (one, f), (other, g) = base_of(at, x), base_of(at, y)
    join = JOINS[kind]
    axes = {axis for axis in (axis_of(x), axis_of(y)) if axis is not None}
    if len(axes) <= 1 and (one is other or (one.source == other.source and np.array_equal(one.index, other.index))):
        return Formula(one, lambda v: join(f(v), g(v)), kind, (x, y), axis=next(iter(axes), None))
    layer = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Max": "maximum", "Min": "minimum"}
    if kind not in layer:
        raise Lacking("the language has no such function of two values")
    return combined(at.draft, layer[kind], settled(at.draft, x), settled(at.draft, y))


def _of_many(kind: str) -> Translation:
    """Max, Min, Sum of any number of values."""
    join = {"Sum": "Add"}.get(kind, kind)

    def translation(at: At) -> Value:
        found = at.value(0)
        for place in range(1, len(at.inputs)):
            other = at.value(place)
            if isinstance(other, Constant):
                found = with_constant(at, join, found, other.array, False)
            elif isinstance(found, Constant):
                found = with_constant(at, join, other, found.array, False)
            else:
                found = of_two(at, join, found, other)
        return found

    return translation


def _mean(at: At) -> Value:
    return with_number(at, "Mul", _of_many("Sum")(at), 1 / len(at.inputs))  # type: ignore[arg-type]


def _where(at: At) -> Value:
    """One of two formulas of the same value, such as x above 20 and softplus below."""
    chosen = [at.value(i) for i in range(3)]
    bases: list[Flowing] = []
    functions: list[Function] = []
    for value in chosen:
        if isinstance(value, Constant) and value.array.size == 1:
            functions.append(_always(float(value.array.ravel()[0])))
            continue
        base, function = base_of(at, value)
        bases.append(base)
        functions.append(function)
    if not bases or any(base is not bases[0] for base in bases):
        raise Lacking("it chooses between numbers of different values")
    condition, a, b = functions
    return Formula(bases[0], lambda x: np.asarray(np.where(condition(x), a(x), b(x))), "Where", ())


def _always(number: float) -> Function:
    return lambda x: np.full_like(x, number)


def _square(at: At) -> Value:
    value = at.value()
    exponent = at.needed(1)
    if exponent.size != 1:
        raise Lacking("it has an exponent for each number")
    return with_number(at, "Pow", value, float(exponent.ravel()[0]))


TRANSLATIONS: Mapping[str, Translation] = {
    **{
        kind: _binary(kind) for kind in ("Add", "Sub", "Mul", "Div", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    },
    **{kind: _of_many(kind) for kind in ("Max", "Min", "Sum")},
    "Mean": _mean,
    "Neg": lambda at: with_number(at, "Mul", at.value(), -1.0),
    "Pow": _square,
    "Where": _where,
}
"""By the name of the operator."""
