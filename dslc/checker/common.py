"""The arguments that every layer with parameters takes: name, init, l1, l2, max_norm, lr_factor, freeze."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dslc import layers, registry, regularizers
from dslc.checker.draft import Common
from dslc.checker.expressions import Scope, TwiceGiven, WrongValue, evaluate, resolve_init
from dslc.checker.names import NamedLike
from dslc.language import ast
from dslc.language.arguments import BadValue, Real
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.layers import Weights
from dslc.regularizers import Penalty
from dslc.regularizers.max_norm import MaxNorm

COMMON = ("name", "init", "l1", "l2", "max_norm", "lr_factor", "freeze")


@record
class NoWeights(Diagnostic):
    """An argument about weights for a layer without them: `dense(8) -> relu(l2=0.1)`."""

    layer: str
    argument: str
    message = "{argument}= has no effect here: {layer} has no weights to apply it to"


def read_common(link: ast.Call, scope: Scope) -> Common:
    """The common arguments that a call gives. Raises Failed after reporting a wrong one."""
    common = Common()
    penalties: list[Penalty] | None = None
    given: set[str] = set()
    for argument in (a for a in link.arguments or () if a.name in COMMON):
        if argument.name in given:
            raise scope.fail(TwiceGiven(argument.span, str(argument.name)))
        given.add(str(argument.name))
        if argument.name == "name":
            common = replace(common, name=_layer_name(argument, scope))
        elif argument.name == "init":
            common = replace(common, init=resolve_init(argument.value, scope))
        elif argument.name == "freeze":
            value = evaluate(argument.value, scope)
            if not isinstance(value, bool):
                raise scope.fail(WrongValue(argument.value.span, "freeze", "expected on or off"))
            common = replace(common, freeze=value)
        elif argument.name in ("l1", "l2"):
            penalties = [*(penalties or ()), *_penalty(argument, scope)]
        elif argument.name == "max_norm":
            common = replace(common, constraints=(MaxNorm(_number(argument, Real(0, open_low=True), scope)),))
        elif argument.name == "lr_factor":
            common = replace(common, lr_factor=_number(argument, Real(0, open_low=True), scope))
    return replace(common, penalties=None if penalties is None else tuple(penalties))


def _layer_name(argument: ast.Argument, scope: Scope) -> str:
    value = argument.value.name if isinstance(argument.value, ast.Name) else evaluate(argument.value, scope)
    if not isinstance(value, str) or not value.isidentifier() or not value.isascii():
        raise scope.fail(WrongValue(argument.value.span, "name", "expected letters, digits and _"))
    if value in registry.names(layers):
        raise scope.fail(NamedLike(argument.value.span, value, "layer"))
    return value


def _number(argument: ast.Argument, kind: Real, scope: Scope) -> float:
    try:
        return scope.fitting(kind.convert(evaluate(argument.value, scope)), argument.value.span)
    except BadValue as error:
        raise scope.fail(WrongValue(argument.value.span, str(argument.name), str(error))) from None


def _penalty(argument: ast.Argument, scope: Scope) -> list[Penalty]:
    strength = _number(argument, Real(0), scope)
    found = registry.find(regularizers, str(argument.name), Penalty)
    assert found is not None
    return [found(strength)] if strength else []


def without_weights(link: ast.Call, declared: tuple[Weights, ...]) -> Iterator[Diagnostic]:
    """Reports the arguments that have no effect because the call's layer has no weights."""
    weighted, learning = any(w.decays for w in declared), any(w.trained for w in declared)
    begun = weighted or any(w.usual for w in declared)
    for argument in link.arguments or ():
        useless = argument.name in ("l1", "l2", "max_norm") and not weighted
        useless = useless or (argument.name == "init" and not begun)
        if useless or (argument.name in ("freeze", "lr_factor") and not learning):
            yield NoWeights(argument.span, link.name, str(argument.name))
