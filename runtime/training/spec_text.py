"""The text of a spec with the params' values that its network was built with."""

from __future__ import annotations

from dslc.checker.program import check
from dslc.ir import Network
from dslc.language import ast
from dslc.language.arguments import show
from dslc.language.diagnostics import SpecError
from dslc.language.parse import parse
from dslc.language.source import Source


def as_trained(network: Network) -> str:
    """The network's source, with the value of every param that was overridden filled in."""
    text = network.source.text
    if not network.params:
        return text
    program = parse(Source(network.source.name, text))
    defaults = _defaults(program)
    values = {p.name: p.value for p in network.params if p.name not in defaults or p.value != defaults[p.name]}
    for declaration in reversed(program.declarations):
        if isinstance(declaration, ast.ParamDecl) and declaration.name in values:
            at = declaration.value.span
            text = text[: at.start] + to_source(values[declaration.name]) + text[at.end :]
    return text


def _defaults(program: ast.Program) -> dict[str, object]:
    """The params' own values by name; empty if the file has errors without the overrides."""
    try:
        return {param.name: param.value for param in check(program).params}
    except SpecError:
        return {}


def to_source(value: object) -> str:
    """A value as the language writes it, with all digits, so that it can be read back exactly."""
    return repr(value) if isinstance(value, float) else show(value)
