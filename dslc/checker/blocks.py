"""The parameters of a block: what a call gives them, or their defaults."""

from __future__ import annotations

from dslc import layers, registry
from dslc.checker.expressions import MissingArgument, Scope, known_value, match
from dslc.checker.names import NamedLike
from dslc.ir import Value
from dslc.language import ast
from dslc.language.arguments import Slot


def bind_block(block: ast.BlockDecl, link: ast.Call, outer: Scope, inner: Scope) -> None:
    """Gives the parameters of a block the arguments of the call, or their defaults, in which `in` and the parameters
    before them have their meaning. Raises Failed after reporting."""
    takes = tuple(Slot(f.name, None, f.default is None) for f in block.formals)
    given = match(link.arguments or (), takes, block.name, outer)
    values: dict[str, object] = {}
    inner.values = values
    for formal in block.formals:
        if formal.name not in given and formal.default is None:
            raise outer.fail(MissingArgument(link.span, block.name, formal.name))
        scope, expr = (outer, given[formal.name].value) if formal.name in given else (inner, formal.default)
        assert expr is not None
        if isinstance(expr, ast.Name) and expr.name in scope.flows and not scope.has(expr.name):
            _give_value(formal, scope.flow(expr.name, expr.span), inner)
        else:
            values[formal.name] = known_value(expr, scope)


def _give_value(formal: ast.Formal, value: Value, inner: Scope) -> None:
    """A parameter that stands for what layers made, so it must not look like a layer."""
    if formal.name in registry.names(layers):
        raise inner.fail(NamedLike(formal.span, formal.name, "layer"))
    inner.flows[formal.name] = (value, formal.span)
