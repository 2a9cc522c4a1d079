"""Argument types: what a layer's annotated fields accept, and how a value from the file is converted to them.

Everything that the language names (layer, loss, optimizer, init, ...) is a frozen dataclass whose fields are annotated
with the types below; `slots` lists them, and the checker's `bind` converts the arguments of a call.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, dataclass, fields
from itertools import pairwise
from typing import Annotated, Any, get_type_hints

from dslc.formula import Formula
from dslc.shape import Pair, Sides

Scalar = int | float | bool | str
BALANCED = "balanced"


@dataclass(frozen=True)
class Symbol:
    """A bare word of the file that is neither a param nor `on` or `off`."""

    name: str


@dataclass(frozen=True)
class Items:
    """Several values in brackets: `(1, 2, 1)`."""

    values: tuple[object, ...]


class BadValue(Exception):
    """A value of the wrong kind or out of range; the text says what would be right, as in 'expected a number, not
    on'."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included."""

    low: int = 1
    high: int = 2**31 - 1

    def convert(self, value: object) -> int:
        """`3` or `3.0` as 3. Raises BadValue for fractions, for other kinds of values and outside the range."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"expected a whole number, not {show(value)}")
        if not self.low <= value <= self.high:
            edge = f"at least {self.low}" if value < self.low else f"at most {self.high}"
            raise BadValue(f"it must be {edge}, not {value}")
        return value


@dataclass(frozen=True)
class Real:
    """A finite number in a range; `open_low`, `open_high` exclude the ends."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def convert(self, value: object) -> float:
        """The number as a float. Raises BadValue for other kinds of values, outside the range, and for infinity and
        NaN."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadValue(f"expected a number, not {show(value)}")
        too_low = value <= self.low if self.open_low else value < self.low
        too_high = value >= self.high if self.open_high else value > self.high
        if too_low or too_high or not math.isfinite(value):
            raise BadValue(f"it must be {self._range()}, not {show(value)}")
        return float(value)

    def _range(self) -> str:
        low = f"{'more than' if self.open_low else 'at least'} {self.low:g}" if self.low > -math.inf else ""
        high = f"{'less than' if self.open_high else 'at most'} {self.high:g}" if self.high < math.inf else ""
        return " and ".join(part for part in (low, high) if part) or "finite"


@dataclass(frozen=True)
class OnOff:
    """`on` or `off`."""

    def convert(self, value: object) -> bool:
        """`on` as True, `off` as False. Raises BadValue for anything else, 0 and 1 included."""
        if not isinstance(value, bool):
            raise BadValue(f"expected on or off, not {show(value)}")
        return value


@dataclass(frozen=True)
class OneOf:
    """One of a few bare words."""

    words: tuple[str, ...]

    def convert(self, value: object) -> str:
        """The word itself. Raises BadValue for any word that is not in `words`."""
        if isinstance(value, Symbol) and value.name in self.words:
            return value.name
        raise BadValue(f"expected {' or '.join(self.words)}, not {show(value)}")


@dataclass(frozen=True)
class HeightWidth:
    """`3x5`, or one number for a square."""

    low: int = 1

    def convert(self, value: object) -> Pair:
        """`3x5` as (3, 5) and `3` as (3, 3). Raises BadValue for three dimensions, fractions and sizes below `low`."""
        if isinstance(value, tuple) and len(value) != 2:
            raise BadValue(f"expected height x width, not {show(value)}")
        parts = value if isinstance(value, tuple) else (value, value)
        whole = Whole(self.low, 2**20)
        return whole.convert(parts[0]), whole.convert(parts[1])


@dataclass(frozen=True)
class Border:
    """Rows and columns around an image: a number, height x width, or `(top, bottom, left, right)`."""

    def convert(self, value: object) -> Sides:
        """`1x2` as ((1, 1), (2, 2)), four numbers as ((top, bottom), (left, right)). Raises BadValue for another count
        and negative numbers."""
        if not isinstance(value, Items):
            rows, columns = HeightWidth(0).convert(value)
            return (rows, rows), (columns, columns)
        if len(value.values) != 4:
            raise BadValue(f"expected (top, bottom, left, right), not {show(value)}")
        top, bottom, left, right = (Whole(0, 2**20).convert(part) for part in value.values)
        return (top, bottom), (left, right)


@dataclass(frozen=True)
class PaddingKind:
    """`valid`, `same`, a number, height x width, or `(top, bottom, left, right)`."""

    def convert(self, value: object) -> str | Pair | Sides:
        """`valid` and `same` as text, numbers as (vertical, horizontal), four as ((top, bottom), (left, right)). Raises
        BadValue for other words, another count and negative numbers."""
        if isinstance(value, Items):
            return Border().convert(value)
        if isinstance(value, Symbol):
            if value.name in ("valid", "same"):
                return value.name
            raise BadValue(f"expected valid, same or a number, not {value.name}")
        if isinstance(value, str):
            raise BadValue(f"expected valid, same or a number, not {show(value)}")
        return HeightWidth(0).convert(value)


@dataclass(frozen=True)
class StepPaddingKind:
    """`valid`, `same`, `causal`, a number of steps on both sides, or `(before, after)`."""

    def convert(self, value: object) -> str | int | Pair:
        """Words as text, numbers as they are. Raises BadValue for other words, another count and negative numbers."""
        if isinstance(value, Items):
            if len(value.values) != 2:
                raise BadValue(f"expected (before, after), not {show(value)}")
            before, after = (Whole(0, 2**20).convert(part) for part in value.values)
            return before, after
        if isinstance(value, Symbol) and value.name in ("valid", "same", "causal"):
            return value.name
        if isinstance(value, (Symbol, str)):
            raise BadValue(f"expected valid, same, causal or a number, not {show(value)}")
        return Whole(0, 2**20).convert(value)


@dataclass(frozen=True)
class Dims:
    """A size of one example: `784`, `500x32` or `28x28x1`."""

    def convert(self, value: object) -> tuple[int, ...]:
        """`784` as (784,), `500x32` as (500, 32) and `28x28x1` as (28, 28, 1). Raises BadValue for more
        axes, and for sizes below 1."""
        parts = value if isinstance(value, tuple) else (value,)
        if len(parts) > 3:
            kinds = "a number of features, steps x channels or height x width x channels"
            raise BadValue(f"expected {kinds}, not {show(value)}")
        return tuple(Whole().convert(part) for part in parts)


@dataclass(frozen=True)
class AxisOrder:
    """`(2, 0, 1)`: the numbers of all axes, each once."""

    def convert(self, value: object) -> tuple[int, ...]:
        """`(2, 0, 1)` as it is. Raises BadValue for anything that is no order of two or three axes."""
        parts = value.values if isinstance(value, Items) else ()
        if len(parts) not in (2, 3) or sorted(map(repr, parts)) != [str(axis) for axis in range(len(parts))]:
            raise BadValue(f"expected the axes in their new order, such as (1, 0) or (2, 0, 1), not {show(value)}")
        return tuple(Whole(0, 2).convert(part) for part in parts)


@dataclass(frozen=True)
class AxisNames:
    """`channels`, or several: `(rows, columns)`."""

    def convert(self, value: object) -> tuple[str, ...]:
        """The words. Raises BadValue for anything else, and for a word that is given twice."""
        parts = value.values if isinstance(value, Items) else (value,)
        names = tuple(part.name for part in parts if isinstance(part, Symbol))
        if len(names) != len(parts) or len(set(names)) != len(names):
            raise BadValue(f"expected names of axes, such as channels or (rows, columns), not {show(value)}")
        return names


@dataclass(frozen=True)
class Each:
    """The kind of every argument of a call that takes any number of them, such as `values(1, 0, -1)`. Such a thing has
    no other arguments."""

    kind: Real

    def convert(self, value: object) -> float:
        """One of the arguments, converted by `kind`. Raises BadValue as `kind` does."""
        return self.kind.convert(value)


@dataclass(frozen=True)
class Weighting:
    """`(1, 2, 1)`: a weight for each class; `balanced`: by how often each occurs."""

    def convert(self, value: object) -> tuple[float, ...] | str:
        """`(1, 2, 1)` as (1.0, 2.0, 1.0), `balanced` as it is. Raises BadValue for a single number, a negative weight,
        and if all weights are 0."""
        if value == Symbol(BALANCED):
            return BALANCED
        if not isinstance(value, Items):
            raise BadValue(f"expected a number for each class, such as (1, 2, 1), or balanced, not {show(value)}")
        weights = tuple(Real(0).convert(part) for part in value.values)
        if not any(weights):
            raise BadValue("at least one class must weigh more than 0")
        return weights


@dataclass(frozen=True)
class Increasing:
    """`(30, 60, 80)`: whole numbers from 1, each above the one before it."""

    def convert(self, value: object) -> tuple[int, ...]:
        """`(30, 60)` as it is, and `30` as (30,). Raises BadValue for numbers that do not increase."""
        whole = tuple(Whole(1).convert(part) for part in (value.values if isinstance(value, Items) else (value,)))
        if any(after <= before for before, after in pairwise(whole)):
            raise BadValue(f"each number must be above the one before it, not {show(value)}")
        return whole


@dataclass(frozen=True)
class FormulaOf:
    """A formula in these variables, the first of which it is differentiated by. The checker reads it from the syntax
    tree."""

    variables: tuple[str, ...]

    def convert(self, value: object) -> Formula:
        """The formula itself. Raises BadValue for anything else."""
        if not isinstance(value, Formula):
            raise BadValue(f"expected a formula of {' and '.join(self.variables)}, not {show(value)}")
        return value


@dataclass(frozen=True)
class MetricName:
    """A word; which words are metrics depends on the heads and is looked up later."""

    def convert(self, value: object) -> str:
        """The word. Raises BadValue for anything else."""
        if not isinstance(value, Symbol):
            raise BadValue(f"expected the name of a metric, not {show(value)}")
        return value.name


@dataclass(frozen=True)
class NameOf:
    """The name of a layer, `embedding1`, or of an input; which one it is is looked up later."""

    what: str

    def convert(self, value: object) -> str:
        """The word. Raises BadValue for anything else."""
        if not isinstance(value, Symbol):
            raise BadValue(f"expected the name of {self.what}, not {show(value)}")
        return value.name


Count = Annotated[int, Whole(1)]
Number = Annotated[float, Real()]
Positive = Annotated[float, Real(0, open_low=True)]
NonNegative = Annotated[float, Real(0)]
Fraction = Annotated[float, Real(0, 1, open_high=True)]
Inside = Annotated[float, Real(0, 1, open_low=True, open_high=True)]
Numbers = Annotated[tuple[float, ...], Each(Real())]
Flag = Annotated[bool, OnOff()]
Size = Annotated[Pair, HeightWidth()]
Padding = Annotated[str | Pair | Sides, PaddingKind()]
StepPadding = Annotated[str | int | Pair, StepPaddingKind()]
ClassWeights = Annotated[tuple[float, ...] | str, Weighting()]
ShapeOf = Annotated[tuple[int, ...], Dims()]


def show(value: object) -> str:
    """A value as the language writes it: True as `on`, (3, 5) as `3x5`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, Formula):
        return value.text
    if isinstance(value, tuple):
        return "x".join(str(part) for part in value)
    if isinstance(value, Items):
        return f"({', '.join(show(part) for part in value.values)})"
    if isinstance(value, float):
        return f"{value:g}"
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Slot:
    """One argument that a thing takes: `kind` converts its value, and without a default it is `required`. `field` holds
    it: its name, with an underscore behind where Python has the word for itself."""

    name: str
    kind: Any
    required: bool
    field: str = ""

    def convert(self, value: object) -> object:
        """The value as the dataclass field holds it. Raises BadValue as the kind does."""
        return self.kind.convert(value)


def slots(thing: type[Any]) -> tuple[Slot, ...]:
    """The arguments of a frozen dataclass, its fields that are annotated with a kind: in order, those that are
    `kw_only` last, as its constructor takes them."""
    if thing not in _SLOTS:
        _SLOTS[thing] = _read_slots(thing)
    return _SLOTS[thing]


_SLOTS: dict[type[Any], tuple[Slot, ...]] = {}


def _read_slots(thing: type[Any]) -> tuple[Slot, ...]:
    hints = get_type_hints(thing, include_extras=True)
    return tuple(
        Slot(f.name.rstrip("_"), hints[f.name].__metadata__[0], _required(f), f.name)
        for f in sorted(fields(thing), key=lambda f: f.kw_only is True)
        if hasattr(hints[f.name], "__metadata__")
    )


def _required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING
