"""Values from outside for what a file says: `-D lr=0.01`, or `dslc.load(path, epochs=3)`.

A name is a param of the file, else a setting of `train`, or `lr`, the optimizer's learning rate. A param's value goes
to the checker. A setting is changed in the text, as if the file had said so: what is trained and what a run keeps are
then one spec. A setting that is a param by itself, as in `batch size`, stands for this param.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dslc.checker.expressions import WrongValue, as_call, written_rate
from dslc.language import ast
from dslc.language.arguments import Symbol, show
from dslc.language.diagnostics import Diagnostic, SpecError, did_you_mean
from dslc.language.parse import parse
from dslc.language.record import record
from dslc.language.source import Edit, Source, Span, edited

BYTES = re.compile(r"[0-9]+(\.[0-9]+)?[kMG]B")
"""An amount of memory, as the language writes it."""

RATE = "lr"
SETTINGS = (
    "batch", "epochs", "memory", "on_nan", "precise", "precision", "quantize", "seed", "shuffle", "standardize_target",
)  # fmt: skip
"""Settings of one value."""


@record
class UnknownOverride(Diagnostic):
    """A value for a param that the file does not declare: `dslc check SPEC -D width=8`."""

    name: str
    known: tuple[str, ...]

    @property
    def title(self) -> str:
        """Names the param."""
        return f"the file has no param '{self.name}' to override"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest param or setting, or all params."""
        near = did_you_mean(self.name, (*self.known, RATE, *SETTINGS))
        return (near or f"help: its params: {', '.join(self.known) or 'none'}",)


@record
class NotOneValue(Diagnostic):
    """A value for a setting that the file computes from params: `-D batch=8` for `batch 2 * size`."""

    name: str
    message = "'{name}' is computed here and cannot be set from outside"
    hints = ("help: set the params that it is computed from",)


@record
class NothingToSet(Diagnostic):
    """A value for a setting of a file without `train`, or for the learning rate where `train` has no optimizer."""

    name: str
    what: str
    message = "'{name}' cannot be set: there is no {what}"


def settle(program: ast.Program, values: Mapping[str, object]) -> tuple[ast.Program, dict[str, object]]:
    """The program with the settings among `values`, and the values of params that are left for the checker.

    Raises:
        SpecError: a name is neither a param nor a setting, or its value is none of the language.
    """
    params, edits = _sorted_out(program, values)
    return parse(edited(program.source, edits.values())) if edits else program, params


def as_params(program: ast.Program, values: Mapping[str, object]) -> dict[str, object]:
    """`values` with the name of the param for every setting that is one. Raises SpecError as `settle` does."""
    params, edits = _sorted_out(program, values)
    return {name: values[name] for name in edits} | params


def _sorted_out(program: ast.Program, values: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Edit]]:
    """The values of params, and by name the edits of the settings that are none."""
    declared = tuple(d.name for d in program.declarations if isinstance(d, ast.ParamDecl))
    params = {name: value for name, value in values.items() if name in declared}
    edits: dict[str, Edit] = {}
    for name, value in values.items():
        if name in declared:
            continue
        found = _place(program, name, declared)
        if isinstance(found, ast.Name) and found.name in declared:
            params[found.name] = value
        elif isinstance(found, (ast.Binary, ast.Negate)) and _names(found) & set(declared):
            raise SpecError([NotOneValue(found.span, name)])
        else:
            edits[name] = _edit(found, name, _written(name, value))
    return params, edits


def _place(program: ast.Program, name: str, declared: tuple[str, ...]) -> ast.Expr | ast.Setting | ast.TrainDecl:
    """The value that the file gives a setting; the optimizer without a learning rate, or `train` where it says
    nothing."""
    start = Span(program.source, 0, 0)
    if name not in (RATE, *SETTINGS):
        raise SpecError([UnknownOverride(start, name, declared)])
    train = next((d for d in program.declarations if isinstance(d, ast.TrainDecl)), None)
    if train is None:
        raise SpecError([NothingToSet(start, name, "train in this file")])
    setting = next((s for s in train.settings if s.key == ("optimizer" if name == RATE else name)), None)
    if name != RATE:
        return train if setting is None else setting.values[0]
    if setting is None:
        raise SpecError([NothingToSet(train.span, name, "optimizer")])
    return _rate(setting)


def _rate(setting: ast.Setting) -> ast.Expr | ast.Setting:
    call = as_call(setting.values[0])
    if call is None:
        return setting
    taking, span = written_rate(call)
    return next((a.value for a in taking.arguments or () if a.value.span == span), setting)


def _edit(found: ast.Expr | ast.Setting | ast.TrainDecl, name: str, value: str) -> Edit:
    said = f"{name}={value}"
    if isinstance(found, ast.TrainDecl):
        end = found.span.end - 1
        before = found.span.source.text[:end]
        fresh = "" if not before.rpartition("\n")[2].strip() else "\n"
        return Edit(end, end, f"{fresh}  {name} {value}\n", said)
    if isinstance(found, ast.Setting):
        outer = as_call(found.values[0])
        call = outer and written_rate(outer)[0]
        end = (call or found.values[0]).span.end
        if call is None or call.arguments is None:
            return Edit(end, end, f"({said})", said)
        return Edit(end - 1, end - 1, f"{', ' * bool(call.arguments)}{said}", said)
    return Edit(found.span.start, found.span.end, value, said)


def _names(expr: ast.Expr) -> set[str]:
    if isinstance(expr, ast.Name):
        return {expr.name}
    if isinstance(expr, ast.Negate):
        return _names(expr.operand)
    return _names(expr.left) | _names(expr.right) if isinstance(expr, ast.Binary) else set()


def _written(name: str, given: object) -> str:
    """A value as the language writes it, with all digits."""
    value = given.item() if hasattr(given, "item") else given
    if isinstance(value, str) and ((value.isidentifier() and value.isascii()) or BYTES.fullmatch(value)):
        return value
    if isinstance(value, (int, tuple, Symbol)):
        return show(value)
    if not isinstance(value, float):
        outside = Span(Source(f"{name}={given}, given from outside the file", ""), 0, 0)
        raise SpecError([WrongValue(outside, name, f"{given!r} is no value of the language")])
    return repr(value)
