"""The text of a spec with what its network was built with: values of params, and of columns of tables."""

from __future__ import annotations

import json
from dataclasses import replace

from dslc.checker.program import check
from dslc.ir import Network
from dslc.language import ast
from dslc.language.arguments import show
from dslc.language.diagnostics import DataError, SpecError
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.runtime.data.schema import Schema


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


def completed(network: Network, schema: Schema) -> Network:
    """The network with the values of its columns, which the schema has learned, filled into its text. How it is trained
    stays as it is, also where a caller has changed it.

    Raises:
        DataError: the schema does not know them.
    """
    if not network.open:
        return network
    text = network.source.text
    opened = [(table.input, column) for table in network.tables for column in table.open]
    for name, column in sorted(opened, key=lambda found: -found[1].kind_span.end):
        values = {encoding.column: encoding.values for encoding in schema.tables.get(name, ())}
        if column.name not in values:
            raise DataError(f"the values of the column {column.name!r} are not known: fit on data that have it")
        at = column.kind_span.end
        text = f"{text[:at]}({', '.join(map(_value, values[column.name]))}){text[at:]}"
    params = {param.name: param.value for param in network.params}
    found = check(parse(Source(network.source.name, text)), params, network.precision)
    return replace(found, training=network.training)


def _value(word: str) -> str:
    """A value of a category as the language writes it."""
    return word if word.isidentifier() and word.isascii() else json.dumps(word, ensure_ascii=False)


def _defaults(program: ast.Program) -> dict[str, object]:
    """The params' own values by name; empty if the file has errors without the overrides."""
    try:
        return {param.name: param.value for param in check(program).params}
    except SpecError:
        return {}


def to_source(value: object) -> str:
    """A value as the language writes it, with all digits, so that it can be read back exactly."""
    return repr(value) if isinstance(value, float) else show(value)
